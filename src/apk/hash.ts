/**
 * The order in which apk walks its hash tables: 20,000 buckets by MurmurHash3 (32 bits). It decides the order of
 * what install_if brings in, and of the directories that a trigger is told, so the same result needs the same order.
 */

const SEED = 5381
const BUCKETS = 20_000

function rotate(value: number, by: number): number {
  return (value << by) | (value >>> (32 - by))
}

function scramble(block: number): number {
  return Math.imul(rotate(Math.imul(block, 0xcc9e2d51), 15), 0x1b873593)
}

/** The text's bytes in UTF-8, one character each: names are ASCII, paths nearly always. */
export function bytesOf(text: string): string {
  if (!/[^ -~]/.test(text)) return text
  return encodeURIComponent(text).replace(/%([0-9A-F]{2})/g, (_, hex: string) =>
    String.fromCharCode(Number.parseInt(hex, 16)),
  )
}

/** MurmurHash3_x86_32 of the text, as an unsigned number. */
export function murmur(text: string, seed: number): number {
  const bytes = bytesOf(text)
  const length = bytes.length
  const tail = length & ~3
  let hash = seed
  for (let i = 0; i < tail; i += 4) {
    const block =
      bytes.charCodeAt(i) |
      (bytes.charCodeAt(i + 1) << 8) |
      (bytes.charCodeAt(i + 2) << 16) |
      (bytes.charCodeAt(i + 3) << 24)
    hash = (Math.imul(rotate(hash ^ scramble(block), 13), 5) + 0xe6546b64) | 0
  }
  if (tail < length) {
    let block = bytes.charCodeAt(tail)
    if (tail + 1 < length) block |= bytes.charCodeAt(tail + 1) << 8
    if (tail + 2 < length) block |= bytes.charCodeAt(tail + 2) << 16
    hash ^= scramble(block)
  }
  hash ^= length
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return (hash ^ (hash >>> 16)) >>> 0
}

/** Where apk's table holds a name or a directory (without slashes around it). */
export function bucketOf(text: string): number {
  return murmur(text, SEED) % BUCKETS
}

/** In apk's order: by bucket, and in a bucket the one that was entered last comes first. */
export function inHashOrder<T>(items: readonly T[], textOf: (item: T) => string): T[] {
  const keyed = items.map((item, entered) => ({ item, bucket: bucketOf(textOf(item)), entered }))
  keyed.sort((a, b) => a.bucket - b.bucket || b.entered - a.entered)
  return keyed.map(({ item }) => item)
}
