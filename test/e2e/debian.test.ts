/**
 * Debian as it is installed, diskless by NFS (seed 003) and on a disk: to its login, and to a clean end. Its own network
 * configuration would take the card away from the root, at the boot's begin or at its end.
 */

import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, expect, inject, it } from 'vitest'
import { password } from '../../scripts/repository/overlay.ts'
import type { Ending, Machine } from '../../src/cli/boot/machine.ts'
import { DeadlinePassed } from '../../src/cli/boot/transcript.ts'
import { debianTree } from '../support/debian.ts'
import { describeInLab } from '../support/lab/describe.ts'
import { Lab } from '../support/lab/index.ts'
import { bootGuest, describeAsRoot, logIn, patience, runIn } from './guest.ts'

/** What the seed's pxelinux.cfg appends, and that the root is the one that DHCP names, as only that was possible then. */
const seed = ['initrd=pxeboot.img.gz', 'ramdisk_size=8192', 'root=dhcp', 'quiet']

/** From the command to the end of QEMU. Generous: who waits for a root that is gone, waits for ever. */
const endMs = patience

/** Types what ends the machine, and waits for that. */
async function end(guest: Machine, command: string): Promise<Ending> {
  guest.type(`${command}\n`)
  const late = new Promise<never>((_, reject) => {
    const error = () => new Error(`${command} does not end:\n${guest.console.tail(30)}`)
    setTimeout(() => reject(error()), endMs).unref()
  })
  return Promise.race([guest.ended, late])
}

/**
 * Types the password until there is a shell: sulogin(8) turns the echo off after its prompt, and forgets what was typed before
 * that (TCSAFLUSH). A shell that gets the second answer as well finds no command of that name.
 */
async function answerSulogin(guest: Machine): Promise<void> {
  const tries = 8
  for (let attempt = 1; ; attempt++) {
    guest.type(`${password}\n`)
    try {
      await guest.console.waitFor(/# $/, patience / tries)
      return
    } catch (error) {
      if (!(error instanceof DeadlinePassed) || attempt === tries) throw error
    }
  }
}

describeInLab('Debian on a file server', () => {
  let systemd: string
  let sysvinit: string
  let lab: Lab
  let guest: Machine

  beforeAll(async () => {
    ;[systemd, sysvinit] = await Promise.all([debianTree('systemd'), debianTree('sysvinit')])
    lab = await Lab.start({
      exports: [
        { path: systemd, pseudo: '/netboot/systemd', access: 'ro' },
        { path: sysvinit, pseudo: '/netboot/sysvinit', access: 'ro' },
      ],
      dhcp: { rootPath: '/netboot/systemd,retry=1,rsize=8192,wsize=8192', nextServer: Lab.address },
      dns: { 'server.lab': Lab.address },
    })
  })
  afterEach(() => guest?.stop())
  afterAll(() => lab?.stop())

  const boot = async (...append: string[]) => {
    guest = await bootGuest({ cards: [{ kind: 'tap', lab }], initrd: inject('fullInitrd'), append })
    await logIn(guest, password, 3 * patience)
  }

  /** The card is as we left it: whoever else configures it sets another address, or names it anew. */
  const expectOurCard = async () => {
    const { output } = await runIn(guest, 'ip -4 -o address show up; ip link')
    expect(output).toMatch(/ eth0 +inet 10\.77\.0\.\d+\/24/)
    expect(output).not.toMatch(/192\.0\.2\.9|altname/)
  }

  /** networkd has seen the card, and decided; before that there is nothing to see of what it does. */
  const expectUnmanaged = async () => {
    const state = '/run/systemd/netif/links/$(cat /sys/class/net/eth0/ifindex)'
    const decided = `until grep -qE "^ADMIN_STATE=(un|conf|f)" ${state}; do udevadm settle; done`
    const { output } = await runIn(guest, `${decided}; grep ADMIN_STATE ${state}`)
    expect(output).toBe('ADMIN_STATE=unmanaged\n')
  }

  it('with systemd from the export that DHCP names, a tmpfs above it: powers off', async () => {
    await boot(...seed)
    const { output } = await runIn(guest, 'cat /etc/installed; touch /etc/new && grep " / " /proc/mounts')
    expect(output).toMatch(/^from Debian\ndiskless \/ overlay rw/)
    await expectUnmanaged()
    await expectOurCard()
    expect(await end(guest, 'systemctl poweroff')).toBe('poweroff')
    expect(guest.console.text).not.toMatch(/FAILED|Failed to (unmount|finalize)/)
    expect(existsSync(join(systemd, 'etc/new'))).toBe(false)
  })

  it('with systemd as symlinks into the export: reboots', async () => {
    await boot(...seed, 'diskless.nfsroot=links')
    const look = 'readlink /etc; cat /etc/installed /etc/resolv.conf; touch /var/new && echo ok'
    expect((await runIn(guest, look)).output).toBe(
      `nfsroot/etc\nfrom Debian\nnameserver ${Lab.address}\nok\n`,
    )
    await expectUnmanaged()
    await expectOurCard()
    expect(await end(guest, 'systemctl reboot')).toBe('reset')
    expect(guest.console.text).not.toMatch(/FAILED|Failed unmounting/)
    expect(existsSync(join(systemd, 'var/new'))).toBe(false)
  })

  it('with sysvinit by version 3, a tmpfs above it: reboots', async () => {
    await boot('ip=dhcp', `root=nfs:${Lab.address}:/netboot/sysvinit,vers=3`, 'quiet')
    expect((await runIn(guest, 'cat /etc/installed; touch /etc/new && echo ok')).output).toBe(
      'from Debian\nok\n',
    )
    await expectOurCard()
    expect(await end(guest, 'reboot')).toBe('reset')
  })

  it('with sysvinit as symlinks into the export: powers off', async () => {
    await boot('ip=dhcp', `root=nfs:${Lab.address}:/netboot/sysvinit`, 'diskless.nfsroot=links', 'quiet')
    const { output } = await runIn(guest, 'readlink /sbin; cat /etc/network/interfaces')
    expect(output).toMatch(/^nfsroot\/sbin\n[\s\S]*iface eth0 inet manual/)
    await expectOurCard()
    expect(await end(guest, 'poweroff')).toBe('poweroff')
    expect(guest.console.text).not.toMatch(/busy|not responding/)
  })
})

describeAsRoot('Debian on a disk', () => {
  const scratch = mkdtempSync(join(tmpdir(), 'diskless-debian-'))
  const quietly = { encoding: 'utf8', stdio: 'pipe' } as const
  let systemd: string
  let guest: Machine

  beforeAll(async () => {
    systemd = await debianTree('systemd')
  })
  afterEach(() => guest?.stop())
  afterAll(() => rmSync(scratch, { recursive: true }))

  it('goes into single mode with an init= of its own, and leaves nothing for fsck', async () => {
    const image = join(scratch, 'system')
    writeFileSync(image, '')
    truncateSync(image, 512 * 2 ** 20)
    execFileSync('mkfs.ext4', ['-q', '-L', 'system', '-d', systemd, image])
    guest = await bootGuest({
      cards: [],
      disks: [{ bus: 'virtio', image }],
      initrd: inject('fullInitrd'),
      append: ['root=LABEL=system', 'rootfstype=ext4', 'init=/lib/systemd/systemd', 'single', 'quiet'],
    })
    await guest.console.waitFor(/Single mode[\s\S]*diskless# $/, 2 * patience)
    guest.type('exit\n')
    await guest.console.waitFor(/Give root password for maintenance[\s\S]*: $/, 2 * patience)
    await answerSulogin(guest)
    const { output } = await runIn(
      guest,
      'tr "\\0" " " < /proc/1/cmdline; echo; systemctl is-active rescue.target; grep " / " /proc/mounts; echo kept > /etc/kept',
    )
    expect(output).toMatch(/^\/lib\/systemd\/systemd single \nactive\n\/dev\/vda \/ ext4 rw/)
    expect(await end(guest, 'systemctl poweroff')).toBe('poweroff')
    expect(execFileSync('debugfs', ['-R', 'cat /etc/kept', image], quietly)).toBe('kept\n')
    execFileSync('e2fsck', ['-fn', image], { stdio: 'ignore' })
  })
})
