/** How long a firmware takes to fetch by TFTP on a bad wire. */

/** Bytes that iPXE asks for in a block (its TFTP_MAX_BLKSIZE). */
const BLOCK = 1432
/** iPXE asks again after so long, in seconds (its DEFAULT_MIN_TIMEOUT); twice as long each time. */
const PATIENCE = 0.25

/** One block at a time (RFC 1350): each takes the way there and back, and what is lost there or back is waited for. */
export function tftpSeconds(
  bytes: number,
  { loss, delayMs }: { readonly loss: number; readonly delayMs: number },
): number {
  const lost = 1 - (1 - loss) ** 2
  // Tries beyond a few are as good as never.
  const waits = [1, 2, 3, 4, 5].reduce((sum, tries) => sum + lost ** tries * PATIENCE * 2 ** (tries - 1), 0)
  return Math.ceil(bytes / BLOCK) * ((2 * delayMs) / 1000 + waits)
}
