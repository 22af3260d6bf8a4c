/**
 * Debian as its own installer leaves it, in a directory, with systemd or sysvinit: what mmdebstrap(1) makes of the package
 * sources that this machine's apt has. Its network configuration is a trap: whoever follows it takes the card from the root.
 * Needs root, for the owners.
 */

import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { passwordHash } from '../../scripts/repository/overlay.ts'

const run = promisify(execFile)

export type Init = 'systemd' | 'sysvinit'

const packages: Readonly<Record<Init, readonly string[]>> = {
  systemd: ['systemd-sysv', 'udev', 'login', 'iproute2'],
  sysvinit: ['sysvinit-core', 'login', 'iproute2', 'ifupdown'],
}

/** Units that these tests do not look at, and that an emulated machine is slow to start. */
const slow = [
  'getty-static.service',
  'getty@tty1.service',
  'e2scrub_reap.service',
  'systemd-random-seed.service',
  'dpkg-db-backup.timer',
  'fstrim.timer',
]

/** Left out of the packages: three quarters of the files. */
const unneeded = ['doc', 'man', 'locale', 'info', 'zoneinfo'].map((each) => `/usr/share/${each}/*`)

const out = fileURLToPath(new URL('../../out/', import.meta.url))
const diskless = fileURLToPath(new URL('../../bin/diskless', import.meta.url))

/** Made anew only when this file has changed. Resolves with its path. */
export async function debianTree(init: Init): Promise<string> {
  const directory = join(out, `debian-${init}`)
  const wanted = createHash('sha256')
    .update(readFileSync(fileURLToPath(import.meta.url)))
    .digest('hex')
  const mark = `${directory}.stamp`
  if (existsSync(mark) && existsSync(directory) && readFileSync(mark, 'utf8') === wanted) return directory
  mkdirSync(out, { recursive: true })
  const partial = `${directory}.${process.pid}`
  const sources = `${partial}.list`
  try {
    writeFileSync(sources, await packageSources())
    const options = unneeded.map((each) => `--dpkgopt=path-exclude=${each}`)
    const words = ['--mode=root', '--variant=essential', `--include=${packages[init].join(',')}`, ...options]
    // No suite: that of the sources.
    await run('mmdebstrap', [...words, '', partial, sources], { maxBuffer: 1 << 28 })
    prepareForLogin(partial)
    bePersonal(partial)
    if (init === 'systemd') prepareSystemd(partial)
    else prepareSysvinit(partial)
    await prepareForAll(partial)
    for (const path of [directory, mark]) rmSync(path, { recursive: true, force: true })
    renameSync(partial, directory)
    writeFileSync(mark, wanted)
  } finally {
    for (const path of [partial, sources, `${partial}.diskless-undo`])
      rmSync(path, { recursive: true, force: true })
  }
  return directory
}

/** sources.list(5) of what this machine's apt has of Debian. */
export async function packageSources(): Promise<string> {
  const format = ['--format', 'deb $(REPO_URI) $(RELEASE) $(COMPONENT)']
  const wanted = ['indextargets', ...format, 'Created-By: Packages', 'Origin: Debian', 'Component: main']
  const known = (await run('apt-get', wanted)).stdout
  if (known !== '') return known
  // There are no lists yet.
  await run('apt-get', ['-q', 'update'])
  const { stdout } = await run('apt-get', wanted)
  if (stdout === '') throw new Error('apt has no sources of Debian’s packages here: see sources.list(5)')
  return stdout
}

function prepareForLogin(tree: string): void {
  const edit = (path: string, change: (text: string) => string) =>
    writeFileSync(join(tree, path), change(readFileSync(join(tree, path), 'utf8')))
  edit('etc/shadow', (text) => text.replace(/^root:[^:]*/m, `root:${passwordHash}`))
  // A prompt without escape sequences.
  edit('etc/passwd', (text) => text.replace(/^(root:.*):.*$/m, '$1:/bin/sh'))
  writeFileSync(join(tree, 'etc/hostname'), 'pxeclient\n')
  writeFileSync(join(tree, 'etc/installed'), 'from Debian\n')
}

/** As an installation on a disk leaves it, which waits for that disk, and is one machine only. */
function bePersonal(tree: string): void {
  writeFileSync(
    join(tree, 'etc/fstab'),
    'UUID=6a6b6c6d-0000-4000-8000-000000000000 / ext4 errors=remount-ro 0 1\n/dev/sda2 none swap sw 0 0\nLABEL=data /data ext4 defaults 0 2\n',
  )
  writeFileSync(join(tree, 'etc/resolv.conf'), 'nameserver 192.0.2.53\n')
  rmSync(join(tree, 'etc/machine-id'), { force: true })
  writeFileSync(join(tree, 'etc/machine-id'), '0123456789abcdef0123456789abcdef\n')
}

/** What the seed calls mkbootready. A disk may hold the same. */
async function prepareForAll(tree: string): Promise<void> {
  await run(process.execPath, [diskless, 'prepare-nfsroot', tree, '--links'])
  rmSync(`${tree}.diskless-undo`)
}

function prepareSystemd(tree: string): void {
  const link = (path: string, target: string) => {
    mkdirSync(dirname(join(tree, path)), { recursive: true })
    symlinkSync(target, join(tree, path))
  }
  // The trap: an address in no network of ours.
  writeFileSync(
    join(tree, 'etc/systemd/network/10-all.network'),
    '[Match]\nName=e*\n\n[Network]\nAddress=192.0.2.9/24\n',
  )
  link(
    'etc/systemd/system/multi-user.target.wants/systemd-networkd.service',
    '/lib/systemd/system/systemd-networkd.service',
  )
  for (const unit of slow) link(`etc/systemd/system/${unit}`, '/dev/null')
}

function prepareSysvinit(tree: string): void {
  const inittab = join(tree, 'etc/inittab')
  const others = readFileSync(inittab, 'utf8').replace(/^[1-6]:.*\n/gm, '')
  writeFileSync(inittab, `${others}S0:2345:respawn:/sbin/getty -L ttyS0 115200 vt100\n`)
  mkdirSync(join(tree, 'etc/network'), { recursive: true })
  writeFileSync(
    join(tree, 'etc/network/interfaces'),
    'auto lo eth0\niface lo inet loopback\niface eth0 inet static\n\taddress 192.0.2.9/24\n',
  )
}
