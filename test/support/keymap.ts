/**
 * A keymap as busybox' dumpkmap writes it: the letters of a French keyboard (AZERTY), unshifted, with the digits and
 * editing keys of every other. Nothing of it is in the kernel's own, so a letter tells which one is loaded.
 */

/** Linux' kd.h and keyboard.h: a key of its own, with its type in the upper byte. */
const keys = { hole: 0x0200, enter: 0x0201, shift: 0x0700, control: 0x0702, letter: 0x0b00 } as const

/** From a row's first scan code on (input-event-codes.h). */
const rows: readonly (readonly [number, string])[] = [
  [2, '1234567890'],
  [16, 'azertyuiop'],
  [30, 'qsdfghjklm'],
  [44, 'wxcvbn,;:!'],
]

const tables = 256
const keysOfTable = 128

export function azerty(): Buffer {
  const plain = Buffer.alloc(2 * keysOfTable)
  const put = (key: number, value: number) => plain.writeUInt16LE(value, 2 * key)
  for (let key = 0; key < keysOfTable; key++) put(key, keys.hole)
  for (const [first, row] of rows) {
    for (const [at, character] of [...row].entries()) {
      put(first + at, (/[a-z]/.test(character) ? keys.letter : 0) | character.charCodeAt(0))
    }
  }
  for (const [key, value] of [
    [14, 0x7f],
    [28, keys.enter],
    [29, keys.control],
    [42, keys.shift],
    [57, 0x20],
  ] as const)
    put(key, value)
  const flags = Buffer.alloc(tables)
  flags[0] = 1
  return Buffer.concat([Buffer.from('bkeymap'), flags, plain])
}
