/** SHA-1 (FIPS 180-4) of short texts: apk names the indexes in its cache by that of their repository's URL. */

import { bytesOf } from './hash.ts'

const START = [0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0] as const

function rotate(value: number, by: number): number {
  return (value << by) | (value >>> (32 - by))
}

/** Forty hexadecimal digits. */
export function sha1(text: string): string {
  const bytes = bytesOf(text)
  // The text, a one bit, zeros, and the length in bits, in whole blocks of sixteen words.
  const words = new Array<number>((((bytes.length + 8) >> 6) + 1) * 16).fill(0)
  const put = (at: number, byte: number) => {
    words[at >> 2] = (words[at >> 2] ?? 0) | (byte << (24 - (at & 3) * 8))
  }
  for (let at = 0; at < bytes.length; at++) put(at, bytes.charCodeAt(at))
  put(bytes.length, 0x80)
  words[words.length - 1] = bytes.length * 8
  let state: readonly number[] = START
  for (let block = 0; block < words.length; block += 16) state = mix(state, words.slice(block, block + 16))
  return state.map((word) => (word >>> 0).toString(16).padStart(8, '0')).join('')
}

function mix(state: readonly number[], words: number[]): readonly number[] {
  let [a = 0, b = 0, c = 0, d = 0, e = 0] = state
  for (let round = 0; round < 80; round++) {
    if (round >= 16) {
      const [w3 = 0, w8 = 0, w14 = 0, w16 = 0] = [3, 8, 14, 16].map((back) => words[round - back])
      words.push(rotate(w3 ^ w8 ^ w14 ^ w16, 1))
    }
    const [chosen, constant] =
      round < 20
        ? [(b & c) | (~b & d), 0x5a827999]
        : round < 40
          ? [b ^ c ^ d, 0x6ed9eba1]
          : round < 60
            ? [(b & c) | (b & d) | (c & d), 0x8f1bbcdc]
            : [b ^ c ^ d, 0xca62c1d6]
    const next = (rotate(a, 5) + chosen + e + constant + (words[round] ?? 0)) | 0
    ;[a, b, c, d, e] = [next, a, rotate(b, 30), c, d]
  }
  return [a, b, c, d, e].map((word, at) => (word + (state[at] ?? 0)) | 0)
}
