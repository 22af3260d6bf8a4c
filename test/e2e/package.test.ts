/**
 * What `npm pack` makes: installed beside a Node and nothing else (no cargo, no shell, no program, no network), it builds the
 * very initrd that the checkout builds.
 */

import { execFileSync, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { build } from '../../build/index.ts'
import { packageRoot } from '../../build/paths.ts'
import { kernelDirectory } from '../../scripts/kernel.ts'

const directory = mkdtempSync(join(tmpdir(), 'diskless-package-'))
const root = join(directory, 'root')
const modules = join(root, 'app/node_modules')

function npm(at: string, ...words: string[]): string {
  return execFileSync('npm', words, { cwd: at, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
}

beforeAll(() => {
  npm(
    packageRoot,
    'pack',
    '--workspace',
    'packages/linux-x64',
    '--include-workspace-root',
    '--pack-destination',
    directory,
  )
  const packages = readdirSync(directory).filter((name) => name.endsWith('.tgz'))
  expect(packages.sort()).toEqual([
    expect.stringMatching(/^diskless-\d/),
    expect.stringMatching(/^diskless-linux-x64-/),
  ])
  mkdirSync(join(root, 'app'), { recursive: true })
  writeFileSync(join(root, 'app/package.json'), '{"private": true}\n')
  npm(
    join(root, 'app'),
    ...['install', '--prefer-offline', '--ignore-scripts', '--no-audit', '--no-fund'],
    ...packages.map((name) => join(directory, name)),
  )
  // A static Node would be enough; this one needs the C library and what else ldd(1) names.
  const libraries = execFileSync('ldd', [process.execPath], { encoding: 'utf8' }).match(/\/\S+/g) ?? []
  for (const file of [process.execPath, ...libraries]) {
    const place = file === process.execPath ? join(root, 'node') : join(root, file)
    mkdirSync(dirname(place), { recursive: true })
    copyFileSync(file, place)
  }
  for (const place of ['tmp', 'kernel', 'keys', 'out']) mkdirSync(join(root, place))
})

afterAll(() => rmSync(directory, { recursive: true, force: true }))

/** In the empty root, with the kernel and the demo's keys mounted into it. */
function installed(kernel: string, image: string, keys: string, ...words: string[]) {
  // /dev/null is what Node gives a program that is to read nothing.
  const inside = `mkdir -p "$1/dev" && touch "$1/dev/null" && mount --bind /dev/null "$1/dev/null" && mkdir -p "$1/kernel/lib/modules/\${2##*/}" && touch "$1/kernel/vmlinuz" && mount --bind "$2" "$1/kernel/lib/modules/\${2##*/}" &&
mount --bind "$3" "$1/kernel/vmlinuz" && mount --bind "$4" "$1/keys" && exec_root=$1 && shift 4 && exec chroot "$exec_root" /node /app/node_modules/diskless/bin/diskless "$@"`
  const options = [
    '--map-root-user',
    '--mount',
    '--net',
    'sh',
    '-c',
    inside,
    'sh',
    root,
    kernel,
    image,
    keys,
    ...words,
  ]
  return spawnSync('unshare', options, { encoding: 'utf8', env: { PATH: process.env.PATH, HOME: '/tmp' } })
}

function digest(file: string): string {
  return createHash('sha256').update(readFileSync(file)).digest('hex')
}

describe('the package', () => {
  it('builds the same initrd where there is nothing but Node', async () => {
    const kernel = await kernelDirectory()
    const keys = join(inject('demo'), 'keys')
    const options = { kernel, modules: ['virtio'], keys: [keys], level: 3 } as const
    const ours = await build({ ...options, out: join(directory, 'ours') })
    const words = [
      'build',
      '--kernel',
      '/kernel',
      '--vmlinuz',
      '/kernel/vmlinuz',
      '--modules',
      'virtio',
      '--keys',
      '/keys',
    ]
    const { status, stderr, stdout } = installed(
      ours.kernel.modules,
      ours.kernel.image,
      keys,
      ...[...words, '--dev', '--out', '/out', '--json', '--quiet'],
    )
    expect(stderr).toBe('')
    expect(status).toBe(0)
    expect(JSON.parse(stdout)).toMatchObject({ out: '/out', changed: true })
    expect(digest(join(root, 'out/initrd'))).toBe(digest(ours.initrd))
  })

  it('says what to do where the package for this kind of machine is missing', async () => {
    rmSync(join(modules, '@diskless'), { recursive: true })
    const { status, stderr } = installed(
      await kernelDirectory(),
      inject('image'),
      join(inject('demo'), 'keys'),
      ...['build', '--kernel', '/kernel', '--vmlinuz', '/kernel/vmlinuz', '--out', '/out/again'],
    )
    expect(status).toBe(1)
    expect(stderr).toMatch(/the package @diskless\/linux-x64 is not installed/)
    expect(stderr).toMatch(/Install diskless again/)
  })

  it('brings the types that a hook or a configuration is checked against', () => {
    const app = join(root, 'app')
    const options = ['--noEmit', '--strict', '--module', 'nodenext', '--types', '']
    const check = (text: string) => {
      writeFileSync(join(app, 'uses.mts'), text)
      const tsc = join(packageRoot, 'node_modules/typescript/bin/tsc')
      return spawnSync(process.execPath, [tsc, ...options, 'uses.mts'], { cwd: app, encoding: 'utf8' })
    }
    const use = "import type { BootPlan } from 'diskless'\nexport const quiet = (plan: BootPlan) => plan"
    expect(check(`${use}.network\n`).stdout).toBe('')
    expect(check(`${use}.nothing\n`).stdout).toContain("Property 'nothing' does not exist on type 'BootPlan'")
  })
})
