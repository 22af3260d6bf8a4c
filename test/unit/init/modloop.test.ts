import { createHash } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { parseCommandLine } from '../../../src/boot/command-line.ts'
import { makePlan, type RamBootPlan } from '../../../src/boot/plan.ts'
import { findModules } from '../../../src/init/modloop.ts'
import { settleModules } from '../../../src/init/modules.ts'
import { fetchPipeline } from '../../../src/network/fetch.ts'
import { BootError, chainOf } from '../../../src/sys/index.ts'
import { fakeMachine, type MachineOptions } from '../../support/machine/index.ts'
import { keptReport } from '../../support/report.ts'

const kernel = '6.1.0-test'
const url = 'http://10.0.2.2/boot/modloop-lts?v=1'
const body = 'the modloop of this kernel'
const other = 'the modloop of another one'
const sha256 = createHash('sha256').update(body).digest('hex')
const squashfs = (version: string) => ({
  type: 'squashfs',
  files: { [`/modules/${version}/modules.dep`]: '' },
})
const images = { [body]: squashfs(kernel), [other]: squashfs('6.6.0') }
const known = {
  '/etc/diskless/config.json': JSON.stringify({ buildTime: 1, modloop: { sha256, size: body.length } }),
}
const own = {
  [`/lib/modules/${kernel}/modules.dep`]: 'kernel/loop.ko:\n',
  [`/lib/modules/${kernel}/kernel/loop.ko`]: 'module',
}

function planFor(words: string): RamBootPlan {
  const facts = {
    uuid: undefined,
    product: undefined,
    architecture: 'x86_64',
    memoryAvailable: 2 ** 29,
    clock: undefined,
  }
  const { root, ...plan } = makePlan(parseCommandLine(words), { ...facts, kernel })
  if (root.kind !== 'ram') throw new Error(`a root of kind ${root.kind}`)
  return { ...plan, root }
}

/** Both phases, with what the packages left in between. */
async function bring(
  words: string,
  options: MachineOptions & {
    readonly installed?: Readonly<Record<string, string>>
    /** Where the overlay's fstab has the medium moved to, in the new root. */
    readonly movedTo?: string | undefined
    readonly room?: number
  } = {},
) {
  const machine = fakeMachine({ images, ...options })
  const report = keptReport()
  const plan = planFor(words)
  const media = [{ name: '/dev/vda', target: '/media/vda' }].filter(() => options.disks !== undefined)
  const { files } = machine
  await machine.mounts.mount({
    type: 'tmpfs',
    source: 'tmpfs',
    target: await made('/sysroot'),
    options: [`size=${options.room ?? 2 ** 24}`],
  })
  if (options.disks !== undefined) {
    const request = { type: 'ext4', source: '/dev/vda', target: await made('/media/vda'), options: ['ro'] }
    await machine.mounts.mount(request)
  }
  const bringing = (async () => {
    const found = await findModules(machine, plan, media, fetchPipeline, report)
    for (const [path, content] of Object.entries(options.installed ?? {})) {
      await files.makeDirectory(`/sysroot${path.slice(0, path.lastIndexOf('/'))}`)
      if (content.startsWith('-> ')) await files.symlink(content.slice(3), `/sysroot${path}`)
      else await files.writeText(`/sysroot${path}`, content)
    }
    if (options.movedTo !== undefined)
      await machine.mounts.move('/media/vda', await made(`/sysroot${options.movedTo}`))
    await settleModules(machine, plan, found, report)
  })()
  const error = await machine.run(
    bringing.then(
      () => undefined,
      (thrown: unknown) => thrown,
    ),
  )
  const read = async (path: string) => {
    const place = await files.resolveIn('/sysroot', path)
    return place === undefined ? undefined : files.readText(place)
  }
  const there = async (path: string) => (await files.status(`/sysroot${path}`)) !== undefined
  return { machine, report, error, read, there, text: chainOf(error).join('\n') }

  async function made(path: string): Promise<string> {
    await files.makeDirectory(path)
    return path
  }
}

const served = (content: string): MachineOptions => ({ servers: { [url]: { body: content } } })
const onDisk = (files: Readonly<Record<string, string>>): MachineOptions => ({
  disks: [{ devname: 'vda', media: { type: 'ext4', files } }],
})

describe('a modloop by URL', () => {
  it('is where Alpine’s service looks for it, checked by the builder’s digest', async () => {
    const { read, error, there, report } = await bring(`modloop=${url}`, { ...served(body), files: known })
    expect(error).toBeUndefined()
    expect(await read('/lib/modloop-lts?v=1')).toBe(body)
    expect(await there('/.diskless-modloop')).toBe(false)
    expect(report.details[0]).toContain('its digest is right')
  })

  it('goes where lib leads once the packages are there', async () => {
    const installed = { '/usr/lib/os-release': 'x', '/lib': '-> usr/lib' }
    const { read, error } = await bring(`modloop=${url}`, { ...served(body), installed })
    expect(error).toBeUndefined()
    expect(await read('/usr/lib/modloop-lts?v=1')).toBe(body)
  })

  it.each([
    ['of another build', other, known, 'and the kernel (Linux 6.1.0-test) are not of the same build'],
    ['that is larger', `${body}, and more`, known, 'are not of the same build'],
    ['of another kernel, without a digest', other, {}, 'it has modules of 6.6.0'],
  ])('stops the boot: one %s', async (_, content, files, message) => {
    const { error, text, there } = await bring(`modloop=${url}`, { ...served(content), files })
    expect(error).toBeInstanceOf(BootError)
    expect(text).toContain(message)
    expect(await there('/lib/modloop-lts?v=1')).toBe(false)
  })

  it('comes from the mirror whose digest is right, and has the name that the service looks for', async () => {
    const mirror = 'http://10.0.2.3/modloop-lts'
    const servers = { [url]: { body: other }, [mirror]: { body } }
    const { read, error, report } = await bring(`modloop=${url}|${mirror}`, { servers, files: known })
    expect(error).toBeUndefined()
    expect(await read('/lib/modloop-lts')).toBe(body)
    expect(report.details[0]).toBe(`${mirror}, its digest is right`)
  })

  it('names every mirror where none has the right one', async () => {
    const mirror = 'http://10.0.2.3/modloop-lts'
    const { text } = await bring(`modloop=${url}|${mirror}`, { ...served(other), files: known })
    expect(text).toMatch(
      /not of the same build\n.*from 2 mirrors .*10\.0\.2\.2\S+: .*sha256 is .*; .*10\.0\.2\.3\S+: .*404/i,
    )
  })

  it('is looked into without a digest, and let go of', async () => {
    const { machine, error, report } = await bring(`modloop=${url}`, served(body))
    expect(error).toBeUndefined()
    expect(report.notes[0]).toContain('it is not verified')
    expect((await machine.mounts.list()).map(({ target }) => target)).not.toContain('/run/diskless/modloop')
  })

  it.each([
    [{ files: known, room: 8 }, 'does not fit: the root has 8 B left, and it has 26 B'],
    [{ room: 8 }, 'does not fit: the root has 8 B left, and it has more than that'],
  ])('needs room', async (options, message) => {
    const { text } = await bring(`modloop=${url}`, { ...served(body), ...options })
    expect(text).toContain(message)
  })

  it('is refused where the service would not find it, and left to it by ftp', async () => {
    expect((await bring('modloop=tftp://10.0.2.2/modloop')).text).toContain('would not find it')
    expect((await bring('modloop=http://10.0.2.2/boot/')).text).toContain('names no file')
    const ftp = await bring('modloop=ftp://10.0.2.2/modloop')
    expect([ftp.error, ftp.machine.servers.requests]).toEqual([undefined, []])
  })

  it('brings Alpine’s signatures for the service', async () => {
    const name = '/var/cache/misc/modloop-lts.SIGN.RSA.site.rsa.pub'
    const { read } = await bring('modloop=none', { files: { [name]: 'signature' } })
    expect(await read(name)).toBe('signature')
  })
})

describe('a modloop on a medium', () => {
  it('is right when one of those that are there is', async () => {
    const disk = onDisk({ '/boot/modloop-lts': other, '/boot/modloop-virt': body })
    const { error, report } = await bring('', { ...disk, files: known })
    expect(error).toBeUndefined()
    expect(report.details).toEqual(['/media/vda/boot/modloop-virt, its digest is right'])
  })

  it('stops the boot when the builder knows another one', async () => {
    const { error, text } = await bring('', { ...onDisk({ '/boot/modloop-lts': other }), files: known })
    expect(error).toBeInstanceOf(BootError)
    expect(text).toContain('the modloop /media/vda/boot/modloop-lts and the kernel')
  })

  it('is a warning when it is of another kernel and nobody knows a digest', async () => {
    const wrong = await bring('', onDisk({ '/boot/modloop-lts': other }))
    expect(wrong.error).toBeUndefined()
    expect(wrong.report.warnings).toEqual([
      'no modloop is of this kernel, Linux 6.1.0-test: /media/vda/boot/modloop-lts: it has modules of 6.6.0',
    ])
    const right = await bring('', onDisk({ '/boot/modloop-lts': body }))
    expect(right.report.warnings).toEqual([])
  })

  it.each([
    [known, ['/media/vda/linux/modloop-own, its digest is right']],
    [{}, ['/media/vda/linux/modloop-own']],
  ])('is the one at the path that modloop= names', async (files, details) => {
    const disk = onDisk({ '/linux/modloop-own': body, '/boot/modloop-lts': other })
    const { error, report } = await bring('modloop=/linux/modloop-own', { ...disk, files })
    expect(error).toBeUndefined()
    expect(report.details).toEqual(details)
  })

  it.each([
    ['of another build', known, 'the modloop /media/vda/linux/modloop-own and the kernel (Linux 6.1.0-test)'],
    ['of another kernel', {}, 'it has modules of 6.6.0'],
  ])('stops the boot when the one at that path is %s, whatever else is there', async (_, files, message) => {
    const disk = onDisk({ '/linux/modloop-own': other, '/boot/modloop-lts': body })
    const { error, text } = await bring('modloop=linux/modloop-own', { ...disk, files })
    expect(error).toBeInstanceOf(BootError)
    expect(text).toContain(message)
  })

  it('stops the boot when no medium has that path', async () => {
    const { text } = await bring('modloop=/linux/modloop-own', onDisk({ '/boot/modloop-lts': body }))
    expect(text).toContain('modloop=/linux/modloop-own: no medium has this file')
  })
})

describe('a plain tree of modules on a medium', () => {
  const disk = onDisk({ [`/lib/modules/${kernel}/modules.dep`]: 'of the medium' })
  const installed = { '/etc/runlevels/sysinit/modloop': '-> /etc/init.d/modloop' }

  it.each([undefined, '/media/usb'])('is used where it is, with fstab’s line for it: %s', async (movedTo) => {
    const { machine, read, there, error, report } = await bring('', { ...disk, installed, movedTo })
    expect(error).toBeUndefined()
    expect(await read(`/lib/modules/${kernel}/modules.dep`)).toBe('of the medium')
    expect(await there('/etc/runlevels/sysinit/modloop')).toBe(false)
    expect(report.details.at(-1)).toBe(`/media/vda/lib/modules/${kernel}, in place`)
    // Nothing of it is in memory: it is larger than many a machine's.
    const mount = (await machine.mounts.list()).find(({ target }) => target.startsWith('/sysroot/lib/'))
    expect(mount).toMatchObject({ target: `/sysroot/lib/modules/${kernel}`, source: '/dev/vda' })
  })

  it('is left alone where a package brought its own', async () => {
    const own = { ...installed, [`/lib/modules/${kernel}/modules.dep`]: 'of the package' }
    const { machine, read } = await bring('', { ...disk, installed: own })
    expect(await read(`/lib/modules/${kernel}/modules.dep`)).toBe('of the package')
    const targets = (await machine.mounts.list()).map(({ target }) => target)
    expect(targets.filter((target) => target.includes('modules'))).toEqual([])
  })

  it('has to have kmod’s tables where the new system has kmod', async () => {
    const kmod = { '/bin/kmod': 'program', '/sbin/modprobe': '-> ../bin/kmod' }
    const without = await bring('', { ...disk, installed: { ...installed, ...kmod } })
    expect(without.report.warnings.join()).toContain('run depmod on it')
    const whole = onDisk({
      [`/lib/modules/${kernel}/modules.dep`]: 'text',
      [`/lib/modules/${kernel}/modules.dep.bin`]: 'tables',
    })
    expect((await bring('', { ...whole, installed: { ...installed, ...kmod } })).report.warnings).toEqual([])
  })
})

describe('diskless.modules=keep', () => {
  it('carries the initrd’s modules and firmware over and takes the service out of every runlevel', async () => {
    const installed = {
      '/etc/runlevels/sysinit/modloop': '-> /etc/init.d/modloop',
      '/etc/runlevels/boot/modloop': '-> /etc/init.d/modloop',
      '/etc/runlevels/boot/modules': '-> /etc/init.d/modules',
      // As the service leaves it: nothing is mounted there.
      '/lib/modules': '-> /.modloop/modules',
    }
    const files = { ...own, '/lib/firmware/acme.bin': 'firmware' }
    const { machine, read, there, error } = await bring('diskless.modules=keep', { files, installed })
    expect(error).toBeUndefined()
    expect(await read(`/lib/modules/${kernel}/kernel/loop.ko`)).toBe('module')
    expect(await read('/lib/firmware/acme.bin')).toBe('firmware')
    expect(await there('/etc/runlevels/sysinit/modloop')).toBe(false)
    expect(await there('/etc/runlevels/boot/modloop')).toBe(false)
    expect(await there('/etc/runlevels/boot/modules')).toBe(true)
    expect(machine.processes.ran).toEqual([])
  })

  it('runs depmod for kmod, whose modprobe reads its tables only', async () => {
    const installed = { '/bin/kmod': 'program', '/sbin/modprobe': '-> ../bin/kmod', '/sbin/depmod': 'x' }
    const ran = await bring('diskless.modules=keep', { files: own, installed })
    expect(ran.machine.processes.ran).toMatchObject([{ argv: ['/sbin/depmod', kernel], root: '/sysroot' }])
    expect(ran.report.warnings).toEqual([])
    const program = () => ({ status: 1, output: 'out of memory\n' })
    const failed = await bring('diskless.modules=keep', { files: own, installed, program })
    expect(failed.report.warnings).toEqual(['depmod failed (1), modprobe will find no module: out of memory'])
  })

  it('leaves a package’s own modules of this kernel as they are', async () => {
    const installed = { [`/lib/modules/${kernel}/modules.dep`]: 'of the package' }
    const { read } = await bring('diskless.modules=keep', { files: own, installed })
    expect(await read(`/lib/modules/${kernel}/modules.dep`)).toBe('of the package')
  })

  it('stops where the initrd is of another kernel', async () => {
    const { text } = await bring('diskless.modules=keep')
    expect(text).toContain('this initrd has no modules of Linux 6.1.0-test')
  })
})
