/** Sizes as people write them on a command line. Pure. */

const factors = new Map([
  ['', 1],
  ['k', 1024],
  ['m', 1024 ** 2],
  ['g', 1024 ** 3],
  ['t', 1024 ** 4],
])

/** `512M`, `2g`, `1048576`: bytes. Undefined: no size. */
export function parseBytes(text: string): number | undefined {
  const [, digits, unit = ''] = /^(\d{1,9})([kmgt]?)i?b?$/i.exec(text) ?? []
  const factor = factors.get(unit.toLowerCase())
  return digits === undefined || factor === undefined ? undefined : Number(digits) * factor
}
