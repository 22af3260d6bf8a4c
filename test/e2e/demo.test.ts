/** The main job, whole: power-on, iPXE, TFTP, our init, DHCP, overlay, packages, OpenRC, a login that works. */

import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { writeBootScript } from '../../build/ipxe.ts'
import { password } from '../../scripts/repository/overlay.ts'
import { Machine, usualMac } from '../../src/cli/boot/machine.ts'
import { FileServer } from '../support/qemu/server.ts'
import { logIn, onlyCard, patience, runIn } from './guest.ts'

describe('the demo, from power-on', () => {
  const directory = mkdtempSync(join(tmpdir(), 'diskless-tftp-'))
  let server: FileServer
  let guest: Machine

  beforeAll(async () => {
    server = await FileServer.start(inject('demo'))
    symlinkSync(inject('image'), join(directory, 'vmlinuz'))
    symlinkSync(inject('initrd'), join(directory, 'initrd'))
    const commandLine = `console=ttyS0 ip=dhcp apkovl=${server.url}/{MAC}.apkovl.tar.gz alpine_repo=${server.url}/apks`
    writeFileSync(join(directory, 'boot.ipxe'), writeBootScript(commandLine))
    guest = await Machine.start({ start: { by: 'ipxe', directory }, memoryMb: 1024, cards: onlyCard })
    await logIn(guest, password, 2 * patience)
  })

  afterAll(async () => {
    await guest?.stop()
    await server?.close()
    rmSync(directory, { recursive: true, force: true })
  })

  it('asked for the overlay of its own MAC', () => {
    expect(server.requests).toContain(`/${usualMac}.apkovl.tar.gz`)
  })

  it('fetched every package once', () => {
    const packages = server.requests.filter((path) => path.endsWith('.apk'))
    expect(packages.length).toBeGreaterThan(40)
    expect(new Set(packages).size).toBe(packages.length)
  })

  it('logs root in with the password of the overlay', async () => {
    expect((await runIn(guest, 'id -un; hostname')).output).toBe('root\ndiskless-demo\n')
  })

  it('started the services of the runlevels', async () => {
    const { output } = await runIn(guest, 'rc-status -a')
    for (const service of ['devfs', 'hostname', 'syslog', 'beacon', 'sshd']) {
      expect(output).toMatch(new RegExp(`${service}\\s+\\[\\s+started`))
    }
  })

  it('ran scripts before files, and gave files to the user that a script made', async () => {
    const { output } = await runIn(
      guest,
      'cat /var/lib/beacon/ran-as /etc/beacon/uid; stat -c %U:%a /usr/bin/beacon /var/lib/beacon',
    )
    expect(output).toBe('beacon\n451\nbeacon:4755\nbeacon:2750\n')
  })

  it('kept hard links and set-id bits', async () => {
    const { output } = await runIn(
      guest,
      'stat -c %h:%a /usr/bin/perl /usr/bin/passwd; stat -c %G:%a /usr/bin/chage',
    )
    expect(output).toBe('2:755\n1:4755\nshadow:2755\n')
  })

  it('ran the triggers', async () => {
    const { output } = await runIn(
      guest,
      'cat /var/lib/beacon/triggered; grep -c BEGIN /etc/ssl/certs/ca-certificates.crt',
    )
    expect(output).toMatch(/^\/usr\/share\/beacon\/messages\n\d{2,3}\n$/)
  })

  it("kept the overlay's file where a package has one too", async () => {
    expect((await runIn(guest, 'grep PermitRootLogin /etc/ssh/sshd_config')).output).toBe(
      'PermitRootLogin yes\n',
    )
  })

  it('installed what only install_if asks for', async () => {
    expect((await runIn(guest, 'grep -c ^P:openssh-server-openrc$ /lib/apk/db/installed')).output).toBe('1\n')
  })

  it('left a network that works: address, route, resolver', async () => {
    const { output } = await runIn(
      guest,
      `ip -4 route; cat /etc/resolv.conf; wget -q -O /dev/null ${server.url}/apks/.boot_repository && echo reached`,
    )
    expect(output).toMatch(/default via 10\.0\.2\.2/)
    expect(output).toMatch(/nameserver 10\.0\.2\.3/)
    expect(output).toMatch(/reached/)
  })

  it('runs in RAM, with nothing left of the initramfs', async () => {
    const { output } = await runIn(
      guest,
      'grep " / " /proc/mounts; ls -d /init /etc/diskless 2>&1; ls /proc/1/exe -l',
    )
    expect(output).toMatch(/ \/ tmpfs /)
    expect(output).not.toMatch(/^\/init$/m)
    expect(output).toMatch(/\/bin\/busybox/)
  })

  it('left its timeline, and the host the same one by event', async () => {
    const { output } = await runIn(guest, 'cat /run/diskless/timeline.json')
    const timeline: { phases: { name: string; state: string }[] } = JSON.parse(output)
    expect(timeline.phases.length).toBeGreaterThan(5)
    expect(timeline.phases.every(({ state }) => state === 'done' || state === 'running')).toBe(true)
    const handoff = guest.events.all.find(({ event }) => event === 'handoff')
    expect(handoff?.fields.init).toBe('/sbin/init')
  })

  it('powers off', async () => {
    guest.type('poweroff\n')
    expect(await guest.ended).toBe('poweroff')
  })
})
