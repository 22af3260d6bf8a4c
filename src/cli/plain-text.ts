/**
 * Text of strangers as it may be shown: without control characters (a terminal obeys them), without those that turn the
 * direction of writing around, and no longer than it has to be.
 */

const harmful =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]|[\ud800-\udfff]/gu

/** Several lines, as long as they are: what a message quotes of a file or a server. */
export function plainLines(text: string): string {
  return text.replace(harmful, (found) => (found === '\n' ? found : ' '))
}

/** One line. */
export function plainText(text: string, longest = 300): string {
  const clean = text
    .slice(0, longest * 4)
    .replace(harmful, ' ')
    .replace(/ {2,}/g, ' ')
    .trim()
  return clean.length > longest ? `${[...clean].slice(0, longest - 1).join('')}…` : clean
}
