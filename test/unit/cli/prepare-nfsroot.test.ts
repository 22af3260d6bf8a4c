/** `diskless prepare-nfsroot` on real trees: what it changes, that nothing is outside, and that all of it comes back. */

import {
  chmodSync,
  existsSync,
  lstatSync,
  lutimesSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { afterAll, beforeEach, describe, expect, it } from 'vitest'
import { readTar } from '../../../src/cli/overlay/tar-read.ts'
import { applyChanges } from '../../../src/cli/prepare-nfsroot/apply.ts'
import { planChanges } from '../../../src/cli/prepare-nfsroot/changes.ts'
import { journalOf, readJournal, undo } from '../../../src/cli/prepare-nfsroot/journal.ts'
import { Tree } from '../../../src/cli/prepare-nfsroot/tree.ts'
import { prepareNfsrootCommand } from '../../../src/cli/prepare-nfsroot.ts'
import { runCommand } from './overlay/run.ts'

const scratch = mkdtempSync(join(tmpdir(), 'diskless-nfsroot-'))
const root = join(scratch, 'root')
const outside = join(scratch, 'outside')

afterAll(() => rmSync(scratch, { recursive: true }))

const prepare = (...words: string[]) => runCommand(prepareNfsrootCommand, root, ...words)
const read = (path: string) => readFileSync(join(root, path), 'utf8')
const link = (path: string) => readlinkSync(join(root, path))

function put(path: string, text: string, mode = 0o644): void {
  const place = join(root, path)
  mkdirSync(dirname(place), { recursive: true })
  writeFileSync(place, text)
  chmodSync(place, mode)
}

/** Everything that there is to be known of the tree. */
function snapshot(): Record<string, string> {
  const seen: Record<string, string> = {}
  const look = (path: string) => {
    const found = lstatSync(join(root, path))
    const kind = found.isDirectory() ? 'directory' : found.isSymbolicLink() ? link(path) : read(path)
    seen[path] = `${found.mode.toString(8)} ${found.uid}:${found.gid} ${Math.round(found.mtimeMs)} ${kind}`
    if (found.isDirectory()) for (const name of readdirSync(join(root, path))) look(join(path, name))
  }
  look('.')
  return seen
}

const fstab = [
  '# /etc/fstab',
  'UUID=0a1b-2c3d / ext4 errors=remount-ro 0 1',
  '/dev/sda2 none swap sw 0 0',
  '/swapfile none swap sw 0 0',
  'LABEL=data /data xfs defaults 0 2',
  '/dev/sr0 /media/cdrom0 udf,iso9660 user,noauto 0 0',
  'server:/home /home nfs defaults 0 0',
  'tmpfs /tmp tmpfs defaults 0 0',
  '',
].join('\n')

beforeEach(() => {
  for (const path of [root, outside, `${root}.diskless-undo`]) rmSync(path, { recursive: true, force: true })
  mkdirSync(outside)
  put('usr/lib/systemd/systemd', '', 0o755)
  put('usr/bin/mount', '', 0o755)
  symlinkSync('usr/bin', join(root, 'bin'))
  put('etc/fstab', fstab, 0o664)
  put('etc/crypttab', '# none\nswap /dev/sda2 /dev/urandom swap\n')
  put('etc/mtab', '/dev/sda1 / ext4 rw 0 0\n')
  put('etc/resolv.conf', 'nameserver 192.0.2.53\n')
  put('etc/machine-id', '0123456789abcdef0123456789abcdef\n', 0o444)
  put('var/lib/dbus/machine-id', '0123456789abcdef0123456789abcdef\n')
  put('etc/hostname', 'builder\n')
  put('etc/shadow', 'root:$6$salt$hash:1::::::\nada:!:1::::::\n', 0o640)
  put('etc/ssh/ssh_host_ed25519_key', 'secret', 0o600)
  put('etc/ssh/ssh_host_ed25519_key.pub', 'public')
  put('etc/ssh/sshd_config', 'x')
  put('usr/lib/systemd/system/ssh.service', '[Service]')
  put('usr/bin/ssh-keygen', '', 0o755)
  put('var/lib/systemd/random-seed', 'seed', 0o600)
  put('var/lib/dhcp/dhclient.eth0.leases', 'lease {}')
  put('var/lib/NetworkManager/secret_key', 'k', 0o600)
  put('etc/udev/rules.d/70-persistent-net.rules', 'SUBSYSTEM=="net"')
  put('etc/selinux/config', 'SELINUX=enforcing\nSELINUXTYPE=targeted\n')
  put('var/lib/dpkg/status', 'Package: x\n')
  mkdirSync(join(root, 'dev'))
  symlinkSync('/proc/self/fd', join(root, 'dev/fd'))
  symlinkSync('../init.d/network', join(root, 'etc/S10network'))
  mkdirSync(join(root, 'etc/rc3.d'))
  symlinkSync('../init.d/network', join(root, 'etc/rc3.d/S10network'))
  for (const path of ['etc/fstab', 'etc/ssh', 'etc', 'var/lib', '.']) {
    utimesSync(join(root, path), 1_600_000_000.123, 1_600_000_000.123)
  }
  lutimesSync(join(root, 'etc/rc3.d/S10network'), 1_500_000_000, 1_500_000_000)
})

describe('diskless prepare-nfsroot', () => {
  it('makes the tree one that machines can share, and says of each change why', async () => {
    const { status, stdout, failure } = await prepare()
    expect(failure).toBe('')
    expect(status).toBe(0)
    expect(read('etc/fstab')).toBe(
      [
        '# /etc/fstab',
        '#diskless# UUID=0a1b-2c3d / ext4 errors=remount-ro 0 1',
        '#diskless# /dev/sda2 none swap sw 0 0',
        '#diskless# /swapfile none swap sw 0 0',
        '#diskless# LABEL=data /data xfs defaults 0 2',
        '/dev/sr0 /media/cdrom0 udf,iso9660 user,noauto 0 0',
        'server:/home /home nfs defaults 0 0',
        'tmpfs /tmp tmpfs defaults 0 0',
        'none / tmpfs defaults 0 0',
        '',
      ].join('\n'),
    )
    expect(statSync(join(root, 'etc/fstab')).mode & 0o777).toBe(0o664)
    expect(read('etc/crypttab')).toBe('# none\n#diskless# swap /dev/sda2 /dev/urandom swap\n')
    expect(link('etc/mtab')).toBe('/proc/mounts')
    expect(link('etc/resolv.conf')).toBe('/var/resolv.conf')
    expect(read('etc/machine-id')).toBe('')
    expect(link('var/lib/dbus/machine-id')).toBe('/etc/machine-id')
    expect(read('etc/hostname')).toBe('localhost\n')
    expect(readdirSync(join(root, 'etc/ssh'))).toEqual(['sshd_config'])
    expect(read('etc/systemd/system/ssh.service.d/diskless.conf')).toMatch(/ssh-keygen -A/)
    for (const gone of [
      'lib/systemd/random-seed',
      'lib/dhcp/dhclient.eth0.leases',
      'lib/NetworkManager/secret_key',
    ])
      expect(existsSync(join(root, 'var', gone))).toBe(false)
    expect(readdirSync(join(root, 'etc/udev/rules.d'))).toEqual([])
    expect(readdirSync(join(root, 'etc/rc3.d'))).toEqual([])
    expect(read('etc/selinux/config')).toMatch(/^SELINUX=permissive$/m)
    expect(lstatSync(join(root, 'var/lib/dpkg')).isDirectory()).toBe(true)
    expect(stdout).toMatch(
      /^host-keys +whoever can mount the export can read them[\s\S]*removes \/etc\/ssh\/ssh_host_ed25519_key$/m,
    )
    expect(stdout).toMatch(/Note: Whoever can mount the tree can read the hashes[^.]*root\./)
    expect(stdout).toContain(`${root} 192.168.1.0/24(ro,no_root_squash,no_subtree_check)`)
    // Whoever mounts the tree does not see what was taken out.
    expect(statSync(`${root}.diskless-undo`).mode & 0o777).toBe(0o600)
  })

  it('says with --dry-run the same, and writes nothing', async () => {
    const before = snapshot()
    const dry = await prepare('--dry-run', '--json')
    expect(snapshot()).toEqual(before)
    expect(readdirSync(scratch).sort()).toEqual(['outside', 'root'])
    const done = await prepare('--json')
    expect(JSON.parse(done.stdout).changes).toEqual(JSON.parse(dry.stdout).changes)
    expect((await prepare('--dry-run')).stdout).toMatch(/is prepared already: nothing is to be changed/)
  })

  it.each([[[]], [['--links']]])('comes back byte for byte, owners and times too: %j', async (words) => {
    const before = snapshot()
    await prepare(...words)
    expect(snapshot()).not.toEqual(before)
    const dry = await prepare('--undo', '--dry-run')
    expect(dry.status).toBe(0)
    expect((await prepare('--undo')).stdout).toBe(
      dry.stdout.replaceAll('would be brought back', 'brought back'),
    )
    expect(snapshot()).toEqual(before)
    expect(readdirSync(scratch).sort()).toEqual(['outside', 'root'])
    expect((await prepare('--undo')).failure).toMatch(/nothing is known of what was changed/)
  })

  it('moves, with --links, what machines would copy into memory, and packs /dev', async () => {
    const { stdout } = await prepare('--links')
    expect(link('var/lib/dpkg')).toBe('/usr/var/lib/dpkg')
    expect(read('usr/var/lib/dpkg/status')).toBe('Package: x\n')
    const devices = readTar(gunzipSync(readFileSync(join(root, 'dev.tar.gz'))), 'dev.tar.gz')
    expect(devices.get('dev/fd')).toMatchObject({ kind: 'symlink', target: '/proc/self/fd' })
    // /etc cannot be written there: the keys and the name stay.
    expect(read('etc/ssh/ssh_host_ed25519_key')).toBe('secret')
    expect(read('etc/hostname')).toBe('builder\n')
    expect(stdout).toMatch(/Note: The SSH host keys stay in the tree, as \/etc cannot be written/)
    expect(stdout).toMatch(/diskless\.nfsroot=links$/m)
  })

  it.each([[false], [true]])('broken off after any step, goes on or comes back (links: %s)', (links) => {
    const before = snapshot()
    const count = planChanges(new Tree(root), { links }, []).changes.flatMap(({ steps }) => steps).length
    expect(count).toBeGreaterThan(12)
    const breakOff = (after: number) => {
      const tree = new Tree(root)
      const { changes } = planChanges(tree, { links }, [])
      let steps = 0
      const onStep = () => {
        if (steps++ === after) throw new Error('the power fails')
      }
      const journalPath = journalOf(tree)
      applyChanges(tree, changes, { journalPath, former: readJournal(journalPath, tree), onStep })
    }
    const back = () => {
      const tree = new Tree(root)
      const journal = readJournal(journalOf(tree), tree)
      if (journal !== undefined) expect(undo(tree, journal, { force: false, dry: false }).kept).toEqual([])
      rmSync(journalOf(tree), { force: true })
      expect(snapshot()).toEqual(before)
    }
    for (let after = 0; after < count; after++) {
      expect(() => breakOff(after)).toThrow('the power fails')
      if (after % 2 === 1) {
        breakOff(Number.POSITIVE_INFINITY)
        expect(planChanges(new Tree(root), { links }, []).changes).toEqual([])
      }
      back()
    }
  })

  it('goes on in the middle of a move, and brings it back too', async () => {
    const before = snapshot()
    await prepare('--links')
    rmSync(join(root, 'var/lib/dpkg'))
    expect((await prepare('--links')).failure).toBe('')
    expect(link('var/lib/dpkg')).toBe('/usr/var/lib/dpkg')
    rmSync(join(root, 'var/lib/dpkg'))
    await prepare('--undo')
    expect(snapshot()).toEqual(before)
  })

  it('does what is new after an upgrade, and comes back to what was before the first time', async () => {
    const before = snapshot()
    await prepare()
    put('etc/hostname', 'again\n')
    expect((await prepare()).stdout).toMatch(/^hostname +[\s\S]*writes \/etc\/hostname\nNote/m)
    await prepare('--undo')
    expect(snapshot()).toEqual(before)
  })

  it('leaves what somebody changed since, unless it is forced', async () => {
    const before = snapshot()
    await prepare()
    put('etc/fstab', 'mine\n')
    const { status, stdout } = await prepare('--undo')
    expect(status).toBe(1)
    expect(stdout).toMatch(/\/etc\/fstab: changed since, and left as it is/)
    expect(read('etc/fstab')).toBe('mine\n')
    expect(read('etc/hostname')).toBe('builder\n')
    expect((await prepare('--undo', '--force')).status).toBe(0)
    expect(snapshot()).toEqual(before)
  })

  it('leaves out what is not wanted, by its name', async () => {
    await prepare('--keep', 'hostname', '--keep', 'host-keys')
    expect(read('etc/hostname')).toBe('builder\n')
    expect(read('etc/ssh/ssh_host_ed25519_key')).toBe('secret')
    expect((await prepare('--keep', 'hostnames')).failure).toMatch(
      /there is no such change\nThere are: fstab,/,
    )
  })

  it('writes nothing outside, wherever symlinks lead', async () => {
    rmSync(join(root, 'etc/ssh'), { recursive: true })
    writeFileSync(join(outside, 'ssh_host_rsa_key'), 'ours')
    writeFileSync(join(outside, 'fstab'), 'ours\n')
    symlinkSync(outside, join(root, 'etc/ssh'))
    rmSync(join(root, 'var/lib/dbus'), { recursive: true })
    symlinkSync(`../../../../../../../../../../..${outside}`, join(root, 'var/lib/dbus'))
    rmSync(join(root, 'etc/fstab'))
    symlinkSync(join(outside, 'fstab'), join(root, 'etc/fstab'))
    rmSync(join(root, 'etc/resolv.conf'))
    symlinkSync('/run/systemd/resolve/stub-resolv.conf', join(root, 'etc/resolv.conf'))
    rmSync(join(root, 'etc/mtab'))
    symlinkSync('../proc/self/mounts', join(root, 'etc/mtab'))
    const before = snapshot()
    expect((await prepare('--links')).failure).toBe('')
    expect(readFileSync(join(outside, 'fstab'), 'utf8')).toBe('ours\n')
    expect(readdirSync(outside).sort()).toEqual(['fstab', 'ssh_host_rsa_key'])
    expect(read('etc/fstab')).toBe('none / tmpfs defaults 0 0\n')
    // Made by programs of the system, at each boot.
    expect(link('etc/resolv.conf')).toBe('/run/systemd/resolve/stub-resolv.conf')
    expect(link('etc/mtab')).toBe('../proc/self/mounts')
    await prepare('--undo')
    expect(snapshot()).toEqual(before)
  })

  it('refuses what is no system, this machine’s own, and a journal that is none or of another', async () => {
    const on = (directory: string, ...words: string[]) =>
      runCommand(prepareNfsrootCommand, directory, ...words)
    expect((await on(outside)).failure).toMatch(/is no installed system: it has no \/etc, or no \/sbin\/init/)
    expect((await on('/')).failure).toMatch(/is the root of this very machine/)
    symlinkSync('/', join(scratch, 'slash'))
    expect((await on(join(scratch, 'slash'))).failure).toMatch(/is the root of this very machine/)
    rmSync(join(scratch, 'slash'))
    expect((await on(join(scratch, 'none'))).failure).toMatch(/is no directory/)
    expect((await prepare('--journal', join(root, 'x'))).failure).toMatch(/whoever mounts that could read it/)
    expect((await prepare('--world', 'x')).failure).toMatch(/--world goes with --install/)
    expect((await prepare('--install', '--world', 'x')).failure).toMatch(/is there, and not empty/)
    writeFileSync(join(scratch, 'none.diskless-undo'), '')
    expect((await on(join(scratch, 'none'), '--install', '--world', 'x')).failure).toMatch(
      /none\.diskless-undo is of a tree that was at .*none before/,
    )
    rmSync(join(scratch, 'none.diskless-undo'))
    symlinkSync('b', join(root, 'etc/a'))
    symlinkSync('a', join(root, 'etc/b'))
    rmSync(join(root, 'etc/fstab'))
    symlinkSync('a', join(root, 'etc/fstab'))
    expect((await prepare()).failure).toMatch(/etc\/fstab of .* leads round in circles/)
    const before = snapshot()
    writeFileSync(`${root}.diskless-undo`, '{"version":1,"tree":"/x","lines":[{"path":"../../etc/passwd"}]}')
    expect((await prepare('--undo')).failure).toMatch(/is no record of what was changed, or a damaged one/)
    writeFileSync(`${root}.diskless-undo`, '{"version":1,"tree":"/x","lines":[],"moves":[]}')
    expect((await prepare()).failure).toMatch(/is of \/x, not of/)
    expect(snapshot()).toEqual(before)
  })
})
