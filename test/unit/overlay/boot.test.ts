/** Whole boots with their overlay on disks. */

import { describe, expect, it } from 'vitest'
import { run } from '../../../src/init/run.ts'
import { fakeMachine, type MachineOptions } from '../../support/machine/index.ts'
import { encrypt } from '../../support/machine/openssl.ts'
import { networkBoot, overlay, repositoryUrl } from '../../support/scenario.ts'

const password = 'geheim'
const locked = encrypt(overlay, { cipher: 'aes-256-cbc', keyDerivation: 'sha256', password })
const diskWith = (name: string, content: Buffer) => ({
  type: 'ext4',
  files: { [`/${name}`]: content },
  contents: { label: name.slice(0, 5) },
})
const local = `console=ttyS0 ip=dhcp alpine_repo=${repositoryUrl}`

async function boot(options: MachineOptions) {
  const machine = fakeMachine(networkBoot({ commandLine: `${local} diskless.onfail=reboot`, ...options }))
  void run(machine)
  const { kind } = await machine.run(machine.supervisor.ended)
  return { machine, kind, console: machine.consoles.text() }
}

describe('a boot with its overlay on a disk', () => {
  it('finds it by itself, asks for its password and hands over', async () => {
    const { machine, kind, console } = await boot({
      disks: [{ devname: 'nvme0n1p1', media: diskWith('guest.apkovl.tar.gz.aes-256-cbc', locked) }],
      typed: ['wrong', password],
    })
    expect(kind).toBe('handoff')
    expect(await machine.files.readText('/sysroot/etc/hostname')).toBe('guest\n')
    expect(console).toMatch(/Wrong password; try 2 of 3/)
    expect(console).toMatch(/overlay +[0-9.]+ s +\/media\/nvme0n1p1\/guest\.apkovl\.tar\.gz\.aes-256-cbc/)
  })

  it('stops at two overlays on two disks, and names both', async () => {
    const { kind, console } = await boot({
      disks: [
        { devname: 'sda1', media: diskWith('a.apkovl.tar.gz', overlay) },
        { devname: 'sdb1', media: diskWith('b.apkovl.tar.gz', overlay) },
      ],
    })
    expect(kind).toBe('reboot')
    expect(console).toContain('/media/sda1/a.apkovl.tar.gz, /media/sdb1/b.apkovl.tar.gz')
    expect(console).toMatch(/name one with apkovl=DEVICE:\/PATH/)
  })
})
