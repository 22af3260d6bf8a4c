/**
 * Mirrors on the kernel command line: `URL|URL` is one thing that several servers have, the preferred one first. No URL has
 * that character (RFC 3986), and no path here is one of several.
 */
export function mirrorsIn(text: string): readonly string[] {
  return text.split(/\|(?=[a-z][a-z\d+.-]*:\/\/)/i)
}
