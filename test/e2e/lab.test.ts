/** The lab itself: its servers answer, go and come back; a guest is on its network and sees disks on every bus. */

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, inject, it } from 'vitest'
import type { Machine } from '../../src/cli/boot/machine.ts'
import { copyTo, makeDisk, makeFileSystem } from '../support/disks/index.ts'
import { describeInLab } from '../support/lab/describe.ts'
import { Lab } from '../support/lab/index.ts'
import { bootGuest, patience, refusal, runIn } from './guest.ts'

const busybox = createRequire(import.meta.url).resolve('busybox-static/bin/busybox')

describeInLab('the lab', () => {
  const scratch = mkdtempSync(join(tmpdir(), 'diskless-lab-test-'))
  let lab: Lab
  let guest: Machine | undefined

  /** A program for Node, in the lab's network. */
  const inLab = (program: string) => lab.run(process.execPath, '--input-type=module', '--eval', program)
  const get = () => inLab(`console.log(await (await fetch('http://${lab.address}/hello')).text())`)
  const rpc = async () =>
    (await lab.run('rpcinfo', '-p', lab.address))
      .split('\n')
      .map((line) => line.trim().split(/\s+/))
      .filter(([program, , protocol]) => program === '100003' && protocol === 'tcp')
      .map(([, version]) => version)

  beforeAll(async () => {
    writeFileSync(join(scratch, 'hello'), 'from nginx')
    mkdirSync(join(scratch, 'old'))
    writeFileSync(join(scratch, 'old/hello'), 'from the old one')
    lab = await Lab.start({
      http: scratch,
      tftp: scratch,
      exports: [
        { path: scratch, pseudo: '/media', access: 'ro' },
        { path: join(scratch, 'old'), pseudo: '/old', protocols: [3] },
      ],
      dhcp: { rootPath: `${Lab.address}:/media` },
      dns: { 'server.lab': Lab.address },
    })
  })
  afterAll(async () => {
    await guest?.stop()
    await lab?.stop()
    rmSync(scratch, { recursive: true })
  })

  it('has servers that answer, stop, and come back', async () => {
    expect(await get()).toBe('from nginx\n')
    expect(lab.log('http')).toMatch(/"GET \/hello HTTP\/1.1" 200/)
    const resolver = `import { promises } from 'node:dns'; const dns = new promises.Resolver()
      dns.setServers(['${lab.address}']); console.log(await dns.resolve4('server.lab'))`
    expect(await inLab(resolver)).toContain(lab.address)
    expect(await rpc()).toEqual(['3', '4'])
    await lab.nfs.stop()
    await expect(rpc()).rejects.toThrow()
    await lab.http.kill()
    await expect(get()).rejects.toThrow(/ECONNREFUSED/)
    await Promise.all([lab.nfs.start(), lab.http.start()])
    expect(await rpc()).toEqual(['3', '4'])
    expect(await get()).toBe('from nginx\n')
  })

  it('has an NFS server that speaks what it is told to', async () => {
    const other = await Lab.start({ exports: [{ path: scratch, pseudo: '/media' }], nfs: { protocols: [3] } })
    try {
      expect(await other.run('rpcinfo', '-p', other.address)).not.toMatch(/100003 +4 +tcp/)
    } finally {
      await other.stop()
    }
  })

  it('has a second DHCP server, and a web server that stalls, cuts and lies', async () => {
    const other = await Lab.start({ faulty: scratch, secondDhcp: { leaseSeconds: 30 } })
    const ask = (path: string) => {
      const got = `fetch('${Lab.faulty}/${path}', { signal: AbortSignal.timeout(3000) })`
      const program = `try { const r = await ${got}; console.log(r.status, await r.text()) } catch (e) { console.log(e.name, e.message) }`
      return other.run(process.execPath, '--input-type=module', '--eval', program)
    }
    try {
      expect(await ask('hello')).toBe('200 from nginx\n')
      expect(await ask('stall/hello')).toMatch(/^TimeoutError/)
      expect(await ask('cut/hello')).toMatch(/^TypeError terminated/)
      expect(await ask('lie/hello')).toMatch(/^200 from n(?!ginx)/)
      expect(await ask('busy/hello')).toMatch(/^503/)
      // As any client on the wire; -q: it ends with the lease, -n: or without.
      const once = ['udhcpc', '-i', 'br0', '-f', '-q', '-n', '-s', '/bin/true']
      await other.dhcp.stop()
      await other.run(busybox, ...once)
      await other.secondDhcp.says(/sending ACK to 10\.77\.0\.2\d\d/i, patience)
    } finally {
      await other.stop()
    }
  })

  it('has guests on its network, with disks on every bus', async () => {
    const files = { 'hello.txt': 'from a disk' }
    const disk = await makeDisk({
      table: 'gpt',
      partitions: [
        { content: { type: 'ext4', label: 'FIRST', files } },
        { content: { type: 'vfat', files } },
      ],
    })
    const iso = await makeFileSystem({ type: 'iso9660', label: 'MEDIA', files })
    const shared = (['virtio', 'nvme', 'usb', 'scsi'] as const).map((bus) => ({
      ...{ bus, image: disk, readOnly: true },
    }))
    const own = (['sata', 'mmc'] as const).map((bus) => ({ bus, image: copyTo(disk, join(scratch, bus)) }))
    // Whichever init looks for first.
    const nowhere = ['apkovl', 'alpine_repo'].map((name) => `${name}=http://${lab.address}/nowhere.tar.gz`)
    guest = await bootGuest({
      cards: [{ kind: 'tap', lab }],
      disks: [...shared, ...own, { bus: 'cdrom', image: iso }],
      initrd: inject('fullInitrd'),
      append: ['ip=dhcp', ...nowhere],
    })
    const box = guest
    const { text } = await refusal(guest)
    expect(text).toMatch(/10\.77\.0\.1\/nowhere/)
    expect(lab.log('dhcp')).toMatch(/DHCPACK\(br0\)/)
    await lab.http.says(/GET \/nowhere\S* HTTP\/1.1" 404/, patience)
    // The scan of USB takes longer than the failure took to come.
    const scanned = 'for n in $(seq 30); do [ -e /sys/class/block/sdc2 ] && break; sleep 1; done'
    const { output } = await runIn(
      guest,
      `${scanned}; ls /sys/class/block; dmesg -r | grep -iE 'usb|scsi|sd[a-z]'`,
    )
    for (const name of ['vda2', 'nvme0n1p2', 'sda2', 'sdb2', 'sdc2', 'mmcblk0p2', 'sr0'])
      expect(output, output).toContain(name)

    const mount = (version: string, path: string, where = `/nfs${version}`) => {
      const options = `addr=${lab.address},nolock,vers=${version}`
      const type = version === '3' ? 'nfs' : 'nfs4'
      return runIn(
        box,
        `mkdir ${where}; mount -t ${type} -o ${options} ${lab.address}:${path} ${where} && cat ${where}/hello`,
      )
    }
    for (const version of ['3', '4.0', '4.2'])
      expect(await mount(version, '/media')).toEqual({
        output: expect.stringContaining('from nginx'),
        status: 0,
      })
    expect((await mount('3', '/old', '/old3')).status).toBe(0)
    // The one that is for NFS 3 only.
    expect((await mount('4.1', '/old')).status).not.toBe(0)
  })
})
