import { describe, expect, it } from 'vitest'
import { needsInterpreter, readerOf, readModinfo } from '../../../build/elf.ts'
import { kernelModule, program } from './synthetic.ts'

describe('reading ELF files', () => {
  const module = kernelModule(['license=GPL', 'alias=fs-ext4', 'alias=ext=3', 'depends='])

  it('finds the strings of .modinfo, in order and with = in values', () => {
    expect(readModinfo(readerOf(module))).toEqual([
      ['license', 'GPL'],
      ['alias', 'fs-ext4'],
      ['alias', 'ext=3'],
      ['depends', ''],
    ])
  })

  it('tells every truncation from a whole file', () => {
    for (let length = 0; length < module.length; length++) {
      expect(() => readModinfo(readerOf(module.subarray(0, length)))).toThrow(/ends inside|not an ELF/)
    }
  })

  it('believes no size', () => {
    const hostile = Buffer.from(module)
    hostile.writeBigUInt64LE(0xffff_ffffn, module.length - 128 + 32)
    expect(() => readModinfo(readerOf(hostile))).toThrow(/\.modinfo of 4294967295 bytes/)
  })

  it('refuses what is no module', () => {
    expect(() => readModinfo(readerOf(Buffer.from('#!/bin/sh\n'.repeat(20))))).toThrow('not an ELF file')
    expect(() => readModinfo(readerOf(program(1)))).toThrow(/no section/)
  })

  it('tells a static program from one that needs a loader', () => {
    expect(needsInterpreter(readerOf(program(1)))).toBe(false)
    expect(needsInterpreter(readerOf(program(3)))).toBe(true)
  })
})
