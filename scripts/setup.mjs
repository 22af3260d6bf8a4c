#!/usr/bin/env node
/**
 * The door of every npm script: brings in what a fresh machine lacks, then runs the task with the Node that the
 * package brings. Plain JavaScript for any Node from 18, as nothing is installed when it starts.
 *
 *   node scripts/setup.mjs TASK [ARGUMENTS]
 */

import { spawn, spawnSync } from 'node:child_process'
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { constants } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const vitest = 'node_modules/vitest/vitest.mjs'

/** What runs, and which of the tools below it needs. */
const tasks = {
  start: { run: ['scripts/demo.ts'], needs: ['rust', 'guest'] },
  test: { run: ['scripts/test.ts'], needs: ['rust', 'guest', 'links', 'lab', 'disks', 'trees', 'loaders'] },
  dev: { run: ['scripts/dev.ts'], needs: ['rust', 'guest'] },
  check: { run: ['scripts/check.ts'], needs: ['rust'] },
  docs: { run: ['scripts/docs.ts'], needs: [] },
  unit: { run: [vitest, 'run', '--project', 'unit'], needs: [] },
  engine: { run: [vitest, 'run', '--project', 'engine'], needs: [] },
  runtime: { run: ['scripts/test.ts', 'runtime'], needs: ['rust', 'links'] },
  e2e: { run: ['scripts/test.ts', 'e2e'], needs: ['rust', 'guest', 'lab', 'disks', 'trees', 'loaders'] },
  'e2e-all': {
    run: ['scripts/test.ts', 'e2e-all'],
    needs: ['rust', 'guest', 'lab', 'disks', 'trees', 'loaders'],
  },
  measure: { run: ['scripts/measure.ts'], needs: ['rust', 'guest', 'lab', 'disks'] },
  'measure-index': { run: ['scripts/measure-index.ts'], needs: ['rust'] },
  'measure-typescript': { run: ['scripts/measure-typescript.ts'], needs: ['rust'] },
  'measure-loss': { run: ['scripts/measure-loss.ts'], needs: ['rust', 'guest'] },
  // The peers are unpacked beside the system, by mmdebstrap: nothing of theirs is installed.
  bench: { run: ['scripts/bench.ts'], needs: ['rust', 'guest', 'lab', 'disks', 'trees'] },
  lab: { run: ['scripts/lab.ts'], needs: ['rust', 'guest', 'lab'] },
  conformance: { run: ['scripts/conformance.ts'], needs: [] },
  'conformance-tree': { run: ['scripts/conformance-tree.ts'], needs: ['rust', 'trees'] },
  pack: { run: ['scripts/pack.ts'], needs: [] },
  'pack-runtime': { run: ['scripts/pack.ts', 'runtime'], needs: ['rust'] },
  cli: { run: [join(root, 'src/cli/main.ts')], needs: [] },
}

/** Debian packages by what shows that they are there: a program, or a file. */
const debian = {
  rust: { cc: 'gcc', '/usr/include/stdio.h': 'libc6-dev' },
  links: { ip: 'iproute2', unshare: 'util-linux', dnsmasq: 'dnsmasq-base', openssl: 'openssl' },
  guest: {
    'qemu-system-x86_64': 'qemu-system-x86',
    '/usr/lib/ipxe/qemu/efi-virtio.rom': 'ipxe-qemu',
    'dpkg-deb': 'dpkg',
  },
  lab: {
    'ganesha.nfsd': 'nfs-ganesha',
    [`/usr/lib/${process.arch === 'arm64' ? 'aarch64' : 'x86_64'}-linux-gnu/ganesha/libfsalvfs.so`]:
      'nfs-ganesha-vfs',
    rpcbind: 'rpcbind',
    nginx: 'nginx-light',
    dnsmasq: 'dnsmasq-base',
    ip: 'iproute2',
    unshare: 'util-linux',
  },
  disks: {
    'mkfs.ext4': 'e2fsprogs',
    'mkfs.btrfs': 'btrfs-progs',
    'mkfs.xfs': 'xfsprogs',
    'mkfs.f2fs': 'f2fs-tools',
    'mkfs.vfat': 'dosfstools',
    mcopy: 'mtools',
    'mkfs.exfat': 'exfatprogs',
    ntfscp: 'ntfs-3g',
    mksquashfs: 'squashfs-tools',
    'mkfs.erofs': 'erofs-utils',
    xorriso: 'xorriso',
    sfdisk: 'fdisk',
    sgdisk: 'gdisk',
    openssl: 'openssl',
  },
  // What publishing is tested with, on machines that have these boot loaders for x86.
  loaders:
    process.arch === 'x64'
      ? {
          '/usr/lib/ipxe/undionly.kpxe': 'ipxe',
          '/usr/lib/PXELINUX/pxelinux.0': 'pxelinux',
          '/usr/lib/syslinux/modules/bios/ldlinux.c32': 'syslinux-common',
          'grub-mkimage': 'grub-common',
          '/usr/lib/grub/i386-pc/normal.mod': 'grub-pc-bin',
          '/usr/lib/grub/x86_64-efi/normal.mod': 'grub-efi-amd64-bin',
          '/usr/share/OVMF/OVMF_CODE_4M.fd': 'ovmf',
        }
      : {},
  trees: { mmdebstrap: 'mmdebstrap', getfattr: 'attr', unshare: 'util-linux' },
}

/** The units of packages whose servers are to run in the lab only, and that Debian would start. */
const units = {
  'nfs-ganesha': ['nfs-ganesha.service', 'nfs-ganesha-lock.service'],
  rpcbind: ['rpcbind.socket', 'rpcbind.service'],
  'nginx-light': ['nginx.service'],
}

const [name = '', ...extra] = process.argv.slice(2)
const task = Object.hasOwn(tasks, name) ? tasks[name] : undefined
if (task === undefined) stop(`there is no task '${name}': ${Object.keys(tasks).join(', ')}`)

installNodePackages()
installDebianPackages(task.needs.flatMap((need) => Object.entries(debian[need])))
if (task.needs.includes('rust')) findRust()
start(join(root, 'node_modules/.bin/node'), [...task.run, ...extra])

function installNodePackages() {
  if (nodePackagesAreCurrent()) return
  console.error('Installing what package-lock.json names (npm ci) ...')
  const npm = process.env.npm_execpath
  const [program, options] = npm?.endsWith('.js') ? [process.execPath, [npm, 'ci']] : ['npm', ['ci']]
  const { status } = spawnSync(
    program,
    [...options, '--no-audit', '--no-fund', '--ignore-scripts', '--loglevel=error'],
    {
      cwd: root,
      stdio: ['ignore', 2, 2],
    },
  )
  if (status !== 0) stop('npm ci failed: see above. Is the npm registry in reach?')
}

/** npm writes what it installed into node_modules; what is optional and for another machine is not there. */
function nodePackagesAreCurrent() {
  const installed = join(root, 'node_modules/.package-lock.json')
  if (!existsSync(installed) || !existsSync(join(root, 'node_modules/.bin/node'))) return false
  const wanted = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')).packages
  const present = JSON.parse(readFileSync(installed, 'utf8')).packages
  return Object.entries(wanted).every(([path, { version, optional }]) => {
    return path === '' || present[path]?.version === version || (optional && present[path] === undefined)
  })
}

function installDebianPackages(wanted) {
  const missing = wanted.filter(([sign]) => !isThere(sign)).map(([, packageName]) => packageName)
  if (missing.length === 0) return
  const install = ['install', '-y', '--no-install-recommends', ...missing]
  if (!isProgram('apt-get'))
    stop(`${missing.join(', ')} are missing (names of Debian's packages): install them`)
  if (process.getuid?.() !== 0) {
    stop(
      `some of Debian's packages are missing. Run this, and then again what you ran:\n  sudo apt-get ${install.join(' ')}`,
    )
  }
  console.error(`Installing Debian's packages ${missing.join(' ')} ...`)
  const apt = (options) => {
    const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
    return spawnSync('apt-get', ['-q', ...options], { stdio: ['ignore', 2, 2], env }).status === 0
  }
  // The first try fails where the lists are missing or old.
  const installed = withoutStarting(missing, () => apt(install) || (apt(['update']) && apt(install)))
  if (!installed) stop('apt-get failed: see above')
  const still = wanted.filter(([sign]) => !isThere(sign))
  if (still.length > 0) stop(`installed, but not found: ${still.map(([sign]) => sign).join(', ')}`)
}

/** Servers that come with packages are not started, now or at the next boot: /usr/sbin/policy-rc.d is Debian's way. */
function withoutStarting(packages, install) {
  const servers = packages.flatMap((each) => units[each] ?? [])
  const policy = '/usr/sbin/policy-rc.d'
  const ours = servers.length > 0 && !existsSync(policy)
  if (ours) writeFileSync(policy, '#!/bin/sh\nexit 101\n', { mode: 0o755 })
  try {
    return install()
  } finally {
    if (ours) rmSync(policy)
    // What is not there cannot be disabled: no matter.
    if (servers.length > 0 && isProgram('systemctl'))
      for (const unit of servers) spawnSync('systemctl', ['--quiet', 'disable', unit], { stdio: 'ignore' })
  }
}

/** rustup puts cargo where a login shell finds it, and npm's may not. */
function findRust() {
  const home = process.env.CARGO_HOME ?? join(process.env.HOME ?? '/root', '.cargo')
  if (!isProgram('cargo') && existsSync(join(home, 'bin/cargo'))) {
    process.env.PATH = `${join(home, 'bin')}:${process.env.PATH}`
  }
  const wanted = /^rust-version = "(\d+)\.(\d+)"/m.exec(
    readFileSync(join(root, 'runtime/Cargo.toml'), 'utf8'),
  )
  const [, major = '1', minor = '85'] = wanted ?? []
  const advice = `/init is made with Rust ${major}.${minor} or newer. Install it with rustup (see rustup.rs), or from your distribution.`
  if (!isProgram('cargo')) stop(`there is no cargo. ${advice}`)
  const { stdout } = spawnSync('cargo', ['--version'], { encoding: 'utf8' })
  const found = /(\d+)\.(\d+)/.exec(stdout ?? '')
  if (found && Number(found[1]) * 1000 + Number(found[2]) < Number(major) * 1000 + Number(minor)) {
    stop(`this is ${stdout.trim()}. ${advice}`)
  }
}

function isThere(sign) {
  return sign.startsWith('/') ? existsSync(sign) : isProgram(sign)
}

function isProgram(program) {
  const path = `${process.env.PATH}:/usr/sbin:/sbin`
  return path.split(':').some((directory) => directory !== '' && existsSync(join(directory, program)))
}

/** The task's end is ours: its status, or the signal that it died of. */
function start(program, options) {
  const path = `${process.env.PATH}:/usr/sbin:/sbin`
  const child = spawn(program, options, {
    cwd: name === 'cli' ? process.cwd() : root,
    stdio: 'inherit',
    env: { ...process.env, PATH: path },
  })
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal))
  child.on('error', (error) => stop(`${program} could not be started: ${error.message}`))
  child.on('exit', (status, signal) => process.exit(status ?? 128 + (constants.signals[signal] ?? 1)))
}

function stop(message) {
  console.error(`diskless: ${message}`)
  process.exit(1)
}
