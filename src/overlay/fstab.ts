/** fstab(5), as far as a boot into RAM reads it. */

export interface FstabEntry {
  readonly device: string
  readonly mountPoint: string
  readonly type: string
  readonly options: readonly string[]
}

/** Options that mount(8) keeps to itself: the kernel would refuse them. */
export function isOfMountProgram(option: string): boolean {
  return /^(auto|noauto|user|users|nofail|_netdev|defaults|x-.*|comment=.*)$/.test(option)
}

/** Lines that are comments, blank or short are skipped, as mount(8) does; octal escapes are read. */
export function parseFstab(text: string): readonly FstabEntry[] {
  const entries: FstabEntry[] = []
  for (const line of text.split('\n')) {
    const [device, mountPoint, type, options = 'defaults'] = line
      .replace(/^\s*#.*/, '')
      .trim()
      .split(/\s+/)
      .map(unescapeOctal)
    if (device === undefined || mountPoint === undefined || type === undefined) continue
    entries.push({
      device,
      mountPoint,
      type,
      options: options.split(',').filter((each) => each !== '' && each !== 'defaults'),
    })
  }
  return entries
}

function unescapeOctal(field: string): string {
  return field.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)))
}
