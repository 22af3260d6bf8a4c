/** What `diskless explain` takes of a machine and its initrd, and how the command ends. */

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { zstdCompressSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { type Entry, writeCpio } from '../../../../build/cpio.ts'
import { UsageError } from '../../../../src/cli/command.ts'
import { readBootInitrd } from '../../../../src/cli/explain/boot-initrd.ts'
import { asOneLine, explainCommand, machineOf } from '../../../../src/cli/explain.ts'
import { key } from '../../../support/scenario.ts'
import { temporaryDirectory } from '../../build/synthetic.ts'
import { explain, step } from './told.ts'

describe('an initrd', () => {
  const file = (text: string): Entry => ({ kind: 'file', mode: 0o644, bytes: Buffer.from(text) })
  const length = Buffer.alloc(8)
  length.writeBigUInt64LE(4n)
  const init = Buffer.concat([Buffer.from('hostcode'), length, Buffer.from('DISKLSBC')])
  const write = (name: string, more: Readonly<Record<string, Entry>>) => {
    const path = join(temporaryDirectory(), name)
    const tree = new Map<string, Entry>([
      ['init', { kind: 'file', mode: 0o755, bytes: init }],
      [
        'etc/diskless/config.json',
        file('{"buildTime":1760000000,"version":"1","modloop":{"sha256":"a","size":7}}'),
      ],
      ...Object.entries(more),
    ])
    writeFileSync(path, zstdCompressSync(writeCpio(tree)))
    return path
  }

  it('says which driver a card gets, which firmware it lacks, and what cannot be trusted', async () => {
    const initrd = await readBootInitrd(
      write('initrd', {
        [`etc/apk/keys/${key.name}`]: file(key.publicPem),
        'lib/modules/6.1.0/kernel/net/e1000.ko': file(''),
        'lib/modules/6.1.0/modules.alias': file('alias pci:v00008086d0000100E* e1000\nalias [ x\n'),
        'etc/diskless/missing-firmware': file('e1000 e1000/fw.bin\n'),
      }),
    )
    expect(initrd).toMatchObject({ kernel: '6.1.0', builtAt: 1_760_000_000_000, modloop: { size: 7 } })
    const cards = ['pci:v00008086d0000100Esv0', 'e1000', 'r8169']
    const text = step('apkovl=https://a/x', 'drivers', { initrd, cards }).text
    expect(text).toMatch(
      /pci:v00008086d0000100Esv0: by e1000, which may ask for firmware that the initrd lacks \(e1000\/fw.bin\)/,
    )
    expect(text).toMatch(/r8169: no module of the initrd drives it/)
    const findings = explain('apkovl=https://a/x keymap=de modules=zz', { initrd, cards }).findings
    const of = (state: string) =>
      findings.flatMap((each) => (each.state === state ? [each.text] : [])).join('\n')
    expect(of('fails')).toMatch(/trusts no certificate/)
    expect(of('doubt')).toMatch(/no keymap de[\s\S]*modules=zz[\s\S]*drives r8169/)
    expect(of('good')).toMatch(/may be signed by test@diskless/)
    expect(explain('root=nfs:1.2.3.4:/x', { initrd }).findings).toContainEqual(
      expect.objectContaining({ state: 'fails', text: expect.stringMatching(/no driver of NFS/) }),
    )
    expect(explain('root=live:/i.squashfs', { initrd }).findings).toContainEqual(
      expect.objectContaining({ state: 'fails', text: expect.stringMatching(/has no \/i.squashfs/) }),
    )
  })

  it('of somebody else is refused', async () => {
    const path = write('other', { init: file('#!/bin/sh\nVERSION=3.13\n# Alpine Init\n') })
    await expect(readBootInitrd(path)).rejects.toThrow(
      /no initrd of diskless: its init is Alpine’s mkinitfs 3.13/,
    )
  })
})

describe('the command', () => {
  it('takes what people write of a machine, and refuses what is none', async () => {
    expect(
      await machineOf({ mac: '52-54-00-AB-CD-EF', cards: ['e1000,r8169', 'pci:v1d2'], memory: '2G' }),
    ).toMatchObject({
      mac: '52:54:00:ab:cd:ef',
      cards: ['e1000', 'r8169', 'pci:v1d2'],
      memory: 2 ** 31,
    })
    for (const wrong of [{ mac: 'eth0' }, { uuid: '1' }, { memory: 'much' }]) {
      await expect(machineOf(wrong)).rejects.toThrow(UsageError)
    }
  })

  it('ends with 1 for what init would refuse', async () => {
    expect(await explainCommand.run(['--json', 'ip=dhcp', 'quiet'])).toBe(0)
    expect(await explainCommand.run(['--json', 'nbd=1:2'])).toBe(1)
    expect(asOneLine(['ip=dhcp', 'init_args=a b'])).toBe('ip=dhcp "init_args=a b"')
    expect(asOneLine(['ip=dhcp init_args="a b"'])).toBe('ip=dhcp init_args="a b"')
    await expect(explainCommand.run([])).rejects.toThrow(/'COMMAND LINE' is missing/)
  })
})
