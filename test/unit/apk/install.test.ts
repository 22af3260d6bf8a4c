/** Index, choice and installation together, on the fake machine, with real signed packages. */

import { describe, expect, it } from 'vitest'
import {
  generateKey,
  indexText,
  loadKey,
  makePackage,
  type PackageSpec,
  signed,
  unsignedIndex,
} from '../../../scripts/repository/apk.ts'
import { file } from '../../../scripts/repository/tar.ts'
import { fetchIndex } from '../../../src/apk/index.ts'
import { installWorld } from '../../../src/apk/installer.ts'
import { findKeys } from '../../../src/apk/keys.ts'
import { selectPackages } from '../../../src/apk/select.ts'
import { indexSource } from '../../../src/apk/source.ts'
import { makeWorld } from '../../../src/apk/world.ts'
import { fetchPipeline } from '../../../src/network/fetch.ts'
import type { RunRequest } from '../../../src/sys/index.ts'
import { chainOf } from '../../../src/sys/index.ts'
import { fakeMachine, type Ran, type Seed } from '../../support/machine/index.ts'

const key = loadKey('demo.rsa.pub', generateKey())
const stranger = loadKey('stranger.rsa.pub', generateKey())

function pkg(name: string, more: Partial<PackageSpec> = {}) {
  const spec: PackageSpec = {
    name,
    version: '1-r0',
    arch: 'x86_64',
    description: name,
    url: '',
    license: 'MIT',
    origin: name,
    built: 1,
    depends: [],
    provides: [],
    replaces: [],
    installIf: [],
    triggers: [],
    scripts: {},
    entries: [file(`usr/share/${name}/file`, name)],
    ...more,
  }
  return makePackage(spec, key)
}

type Made = ReturnType<typeof pkg>

interface Site {
  readonly packages: readonly Made[]
  /** Instead of the right index. */
  readonly index?: Buffer
  readonly files?: Readonly<Record<string, Seed>>
  readonly keep?: readonly string[]
  readonly rootSize?: string
  readonly program?: (request: RunRequest) => Ran | undefined
}

function indexOf(packages: readonly Made[], description = 'demo'): Buffer {
  return unsignedIndex(indexText(packages), description)
}

/** A machine with the repository on its media, and the installation of everything in `world`. */
function install(world: string, site: Site) {
  const files: Record<string, Seed> = { [`/etc/apk/keys/${key.name}`]: key.publicPem, ...site.files }
  files['/media/usb/apks/x86_64/APKINDEX.tar.gz'] =
    site.index ?? signed(indexOf(site.packages), key, 'RSA256')
  for (const { spec, bytes } of site.packages) {
    files[`/media/usb/apks/x86_64/${spec.name}-${spec.version}.apk`] ??= bytes
  }
  const machine = fakeMachine({ files, program: site.program ?? (() => ({ status: 0 })) })
  const messages: string[] = []
  const run = async () => {
    await machine.files.makeDirectory('/sysroot')
    const options = [`size=${site.rootSize ?? '64m'}`]
    await machine.mounts.mount({ type: 'tmpfs', source: 'tmpfs', target: '/sysroot', options })
    for (const path of site.keep ?? []) {
      machine.files.makeDirectories(`/sysroot/${path}`.replace(/\/[^/]*$/, ''))
      if (!path.endsWith('/')) machine.files.seed(`/sysroot/${path}`, 'mine')
    }
    const repository = { urls: ['/media/usb/apks'], tag: undefined }
    const keys = await findKeys(machine, undefined)
    const index = await fetchIndex(machine, { repository, arch: 'x86_64', keys, fetch: fetchPipeline })
    const wanted = makeWorld(world.split(' '))
    const source = indexSource(machine, [index], 'x86_64')
    return installWorld(
      machine,
      {
        root: '/sysroot',
        arch: 'x86_64',
        world: wanted,
        selection: await selectPackages(source, wanted),
        placesOf: source.placesOf,
        keep: site.keep ?? [],
        fetch: fetchPipeline,
      },
      { onMessage: (text) => messages.push(text) },
    )
  }
  return { machine, messages, report: machine.run(run()) }
}

async function failureOf(promise: Promise<unknown>): Promise<string> {
  return promise.then(
    () => 'it did not fail',
    (error: unknown) => chainOf(error).join('\n'),
  )
}

describe('a world', () => {
  const packages = [
    pkg('a', { depends: ['b'], scripts: { 'post-install': '#!/bin/sh\n' } }),
    pkg('b', {
      scripts: { 'pre-install': '#!/bin/sh\n', trigger: '#!/bin/sh\n' },
      triggers: ['/usr/share/*', '/nowhere'],
    }),
  ]

  it('is installed in order, with its scripts as apk runs them and the triggers last', async () => {
    const { machine, report, messages } = install('a', { packages })
    expect(await report).toMatchObject({ packages: 2, scriptFailures: [], conflicts: [] })
    expect(messages).toEqual([
      'Executing b-1-r0.pre-install',
      'Executing a-1-r0.post-install',
      'Executing b-1-r0.trigger',
    ])
    const [first, , trigger] = machine.processes.ran
    expect(first).toMatchObject({
      argv: ['lib/apk/exec/b-1-r0.pre-install', '1-r0'],
      root: '/sysroot',
      directory: '/',
      environment: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin' },
    })
    expect([...(trigger?.argv ?? [])].sort()).toEqual([
      '/usr/share/a',
      '/usr/share/b',
      'lib/apk/exec/b-1-r0.trigger',
    ])
    const { files } = machine
    expect(files.text('/sysroot/etc/apk/world')).toBe('a\n')
    expect(files.text('/sysroot/etc/apk/arch')).toBe('x86_64\n')
    expect(files.text('/sysroot/usr/share/a/file')).toBe('a')
    expect(files.text('/sysroot/lib/apk/db/installed')).toContain(`P:b\nV:1-r0\nA:x86_64\n`)
    expect(await files.list('/sysroot/lib/apk/exec')).toEqual([])
    expect(machine.packages.held.stages).toBe(0)
  })

  it("runs pre-install before a package's files are there, and post-install after", async () => {
    const seen: string[] = []
    const { report, machine } = install('a', {
      packages,
      program: ({ argv }) => {
        const script = argv[0]?.split('/').at(-1) ?? ''
        const there = machine.files.text(`/sysroot/usr/share/${script.charAt(0)}/file`) !== undefined
        seen.push(`${script} ${there}`)
        return { status: 0 }
      },
    })
    await report
    expect(seen).toEqual(['b-1-r0.pre-install false', 'a-1-r0.post-install true', 'b-1-r0.trigger true'])
  })

  it('goes on when a script fails, and says so', async () => {
    const { report, messages } = install('a', {
      packages,
      program: ({ argv }) => ({
        status: argv[0]?.endsWith('post-install') ? 3 : 0,
        output: 'no such user\n',
      }),
    })
    expect((await report).scriptFailures).toEqual([
      { package: 'a-1-r0', script: 'post-install', status: 3, output: 'no such user\n' },
    ])
    expect(messages).toContain('a-1-r0.post-install: script exited with error 3: no such user')
  })

  it("keeps the overlay's files", async () => {
    const { machine, report } = install('a', { packages, keep: ['usr/share/a/', 'usr/share/a/file'] })
    await report
    expect(machine.files.text('/sysroot/usr/share/a/file')).toBe('mine')
  })
})

describe('files that two packages have', () => {
  const both = (name: string, more: Partial<PackageSpec> = {}) =>
    pkg(name, { entries: [file('usr/bin/tool', name)], ...more })

  it.each<[string, Made[], string, number]>([
    ['a conflict: the later one, told', [both('a'), both('b')], 'b', 1],
    ['the later replaces the earlier', [both('a'), both('b', { replaces: ['a'] })], 'b', 0],
    ['the earlier replaces the later', [both('a', { replaces: ['b'] }), both('b')], 'a', 0],
    ['of one source', [both('a', { origin: 'x' }), both('b', { origin: 'x' })], 'b', 0],
    ['replaces another version only', [both('a', { replaces: ['b<1'] }), both('b')], 'b', 1],
  ])('%s', async (_what, packages, winner, conflicts) => {
    const { machine, report } = install('a b', { packages })
    expect((await report).conflicts).toHaveLength(conflicts)
    expect(machine.files.text('/sysroot/usr/bin/tool')).toBe(winner)
  })
})

describe('what stops the boot', () => {
  const a = pkg('a', { depends: ['b'] })
  const b = pkg('b')
  const packages = [a, b]

  it.each<[string, Buffer, string]>([
    ['unsigned', indexOf(packages), 'is not signed'],
    [
      'signed by a stranger',
      signed(indexOf(packages), stranger, 'RSA256'),
      'stranger.rsa.pub, a key that is not trusted',
    ],
    [
      'tampered with',
      Buffer.concat([
        signed(indexOf(packages), key, 'RSA').subarray(0, -indexOf(packages).length),
        indexOf(packages, 'x'),
      ]),
      'does not match its signature by demo.rsa.pub',
    ],
  ])('an index that is %s', async (_what, index, words) => {
    const { machine, report } = install('a', { packages, index })
    expect(await failureOf(report)).toContain(words)
    expect(machine.packages.held.indexes).toBe(0)
  })

  it.each<[string, Buffer, string]>([
    ['another than the index says', pkg('b', { description: 'evil' }).bytes, 'checksum'],
    ['endless', Buffer.alloc(1 << 20), 'more than'],
    ['cut short', b.bytes.subarray(0, -20), 'b-1-r0'],
  ])('a package that is %s', async (_what, bytes, words) => {
    const files = { '/media/usb/apks/x86_64/b-1-r0.apk': bytes }
    const { machine, report } = install('a', { packages, files })
    const said = await failureOf(report)
    expect(said).toContain('the package b-1-r0')
    expect(said).toContain(words)
    expect(machine.packages.held.stages).toBe(0)
  })

  it('a root that is too small, before anything is fetched', async () => {
    const big = pkg('big', { entries: [file('usr/share/big', Buffer.alloc(3 << 20))] })
    const { machine, report } = install('big', { packages: [big], rootSize: '1m' })
    expect(await failureOf(report)).toMatch(/take 3\.2 MB, and the new root has 1\.0 MB free of 1\.0 MB/)
    expect(machine.pipelines.ran.some(({ sink }) => sink.kind === 'apk-stage')).toBe(false)
  })
})
