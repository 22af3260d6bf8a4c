/**
 * `npm run measure`: the memory that a machine has left, for each way of giving it the image of its root. Boots them all
 * with the same image and the same memory, and prints the table of docs/measured.md. What it touched is counted in a file
 * that is its memory: pages that were never written to are holes. Takes minutes.
 */

import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { copyFileSync, mkdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type BuildOptions, build } from '../build/index.ts'
import { type Disk, Machine, type Start } from '../src/cli/boot/machine.ts'
import { tool } from '../test/support/disks/cache.ts'
import { installedTree } from '../test/support/installed.ts'
import { Lab } from '../test/support/lab/index.ts'
import { logIn, runIn } from '../test/support/qemu/session.ts'
import { kernelDirectory } from './kernel.ts'
import { makeDemo } from './repository/index.ts'
import { password } from './repository/overlay.ts'

interface Way {
  readonly name: string
  readonly start: Start
  readonly disks?: readonly Disk[]
  /** What iPXE runs, below what is served. */
  readonly script?: string
}

const memoryMb = 512
/** What the demo's image lacks to the size of a usual one. */
const fillMb = 72
const deadlineMs = 180_000
const consoleWords = 'console=ttyS0 quiet diskless.idle=0'

const out = join(dirname(dirname(fileURLToPath(import.meta.url))), 'out')
const served = join(out, 'measure')
/** In memory itself: a file on a disk would be written to. */
const memoryFile = `/dev/shm/diskless-measure-${process.pid}`

rmSync(served, { recursive: true, force: true })
mkdirSync(served, { recursive: true })
const image = await makeImage()
const megabytes = (statSync(image).size / 2 ** 20).toFixed(0)
const lab = await Lab.start({
  http: served,
  exports: [{ path: served, pseudo: '/images', access: 'ro' }],
  dhcp: { bootFile: `http://${Lab.address}/boot.ipxe` },
})
try {
  say(`A squashfs of ${megabytes} MiB, a machine of ${memoryMb} MiB.\n`)
  say('| the image is | available after login | touched until then |\n|---|---|---|')
  for (const way of await makeWays()) {
    const { available, touched } = await boot(way)
    say(`| ${way.name} | ${available} MiB | ${touched} MiB |`)
  }
} finally {
  await lab.stop()
}

async function makeImage(): Promise<string> {
  const demo = await makeDemo(join(out, 'demo'))
  const tree = installedTree(demo.directory, join(out, 'installed'))
  const fill = join(served, 'fill')
  writeFileSync(fill, randomBytes(fillMb * 2 ** 20))
  const path = join(served, 'image.squashfs')
  // The second run appends.
  for (const source of [tree, fill])
    execFileSync('mksquashfs', [source, path, '-quiet', '-no-progress'], { stdio: 'ignore' })
  return path
}

async function makeWays(): Promise<readonly Way[]> {
  const common: BuildOptions = {
    kernel: await kernelDirectory(),
    modules: ['virtio', 'common-ethernet', 'nfs', 'storage'],
    level: 9,
    out: join(served, 'alone'),
  }
  const alone = await build(common)
  for (const placed of ['appended', 'beside'] as const) {
    const rootImage = { source: image, destination: '/image.squashfs', placed }
    const commandLine = `${consoleWords} root=/dev/ram0 init=/linuxrc looptype=squashfs loop=/image.squashfs cdroot`
    await build({ ...common, rootImage, commandLine, out: join(served, placed) })
  }
  const disk = join(served, 'disk')
  await tool('mkfs.ext4', ['-q', '-d', await onlyImage(), disk, '256M'])
  const disks = [{ bus: 'virtio', image: disk, readOnly: true }] as const
  const kernel = (words: string): Start => ({
    by: 'kernel',
    kernel: alone.image,
    initrd: alone.initrd,
    append: `${consoleWords} ${words}`,
  })
  const byHttp = `ip=dhcp root=live:http://${Lab.address}/image.squashfs`
  const byNfs = `ip=dhcp root=live:nfs:${Lab.address}:/images/image.squashfs`
  const onDisk = 'root=live:/dev/vda:/image.squashfs'
  return [
    { name: 'in the initrd (`--image`)', start: { by: 'network' }, script: 'appended' },
    { name: 'iPXE’s second initrd (`--image-beside`)', start: { by: 'network' }, script: 'beside' },
    { name: 'fetched over HTTP', start: kernel(byHttp) },
    { name: 'on NFS, copied into memory', start: kernel(`${byNfs} diskless.image=ram`) },
    { name: 'on NFS, read in place', start: kernel(`${byNfs} diskless.image=place`) },
    { name: 'on a disk, copied into memory', start: kernel(`${onDisk} diskless.image=ram`), disks },
    { name: 'on a disk, read in place', start: kernel(`${onDisk} diskless.image=place`), disks },
  ]
}

async function onlyImage(): Promise<string> {
  const directory = join(served, 'only')
  mkdirSync(directory)
  copyFileSync(image, join(directory, 'image.squashfs'))
  return directory
}

/** In MiB. */
async function boot({ start, disks = [], script }: Way): Promise<{ available: number; touched: number }> {
  if (script !== undefined)
    writeFileSync(join(served, 'boot.ipxe'), `#!ipxe\nchain ${script}/boot.ipxe || poweroff\n`)
  writeFileSync(memoryFile, '')
  const cards = [{ kind: 'tap', lab }] as const
  const guest = await Machine.start({ start, memoryMb, memoryFile, cards, disks })
  try {
    await logIn(guest, password, deadlineMs)
    const { output } = await runIn(guest, 'grep MemAvailable /proc/meminfo')
    const available = Number(/(\d+) kB/.exec(output)?.[1]) / 1024
    return {
      available: Math.round(available),
      touched: Math.round((statSync(memoryFile).blocks * 512) / 2 ** 20),
    }
  } finally {
    await guest.stop()
    rmSync(memoryFile)
  }
}

function say(text: string): void {
  process.stdout.write(`${text}\n`)
}
