import { describe, expect, it } from 'vitest'
import { parseCommandLine } from '../../../src/boot/command-line.ts'

const words = (text: string) => parseCommandLine(text).words.map(({ name, value }) => [name, value])

describe('the kernel’s quoting rule', () => {
  it('splits at white space and at the first =', () => {
    expect(words('quiet  ip=dhcp\tapkovl=http://a/b?c=d\n')).toEqual([
      ['quiet', undefined],
      ['ip', 'dhcp'],
      ['apkovl', 'http://a/b?c=d'],
    ])
  })
  it('takes quotes off a value and off a whole word', () => {
    expect(words('acpi_osi="!Windows 2006" "init_args=a b" empty=')).toEqual([
      ['acpi_osi', '!Windows 2006'],
      ['init_args', 'a b'],
      ['empty', ''],
    ])
  })
  it('keeps what a shell would have expanded', () => {
    expect(words('xen-pciback.hide=(01:00.0) a=* b=$HOME')).toEqual([
      ['xen-pciback.hide', '(01:00.0)'],
      ['a', '*'],
      ['b', '$HOME'],
    ])
  })
  it('keeps a quote in the middle, and reads an unclosed one to the end', () => {
    expect(words('a=b"c d"e f="g h')).toEqual([
      ['a', 'b"c d"e'],
      ['f', 'g h'],
    ])
  })
  it('gives init what follows --', () => {
    expect(parseCommandLine('quiet -- single 3')).toMatchObject({
      words: [{ name: 'quiet', value: undefined }],
      initArguments: ['single', '3'],
    })
  })
})
