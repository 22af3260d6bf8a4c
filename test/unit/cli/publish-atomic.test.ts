/** A publication that is stopped anywhere leaves the old state or the new one, and the next one finishes. */

import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { CommandError } from '../../../build/error.ts'
import { checkDirectory } from '../../../src/cli/publish/check.ts'
import { publishInto } from '../../../src/cli/publish/directory.ts'
import { parseManifest } from '../../../src/cli/publish/manifest.ts'
import { placeFile } from '../../../src/cli/publish/placed.ts'
import { first, problemsOf, second } from '../../support/published.ts'

const killed = fileURLToPath(new URL('../../support/publish-killed.ts', import.meta.url))
// What is written is synced each time: to memory, where it can be, as a hundred publications are made here.
const scratch = existsSync('/dev/shm') ? '/dev/shm' : tmpdir()
let top = ''
let directory = ''
beforeEach(async () => {
  top = mkdtempSync(join(scratch, 'diskless-atomic-'))
  directory = join(top, 'www')
  await publishInto(directory, first)
})
afterEach(() => rmSync(top, { recursive: true }))

const read = (path: string) => readFileSync(join(directory, path), 'utf8')
const manifest = () => parseManifest(read('manifest'), 'manifest')
const everything = () => readdirSync(directory, { recursive: true }).map(String).sort()

async function stepsOf(): Promise<readonly string[]> {
  const other = join(top, 'other')
  await publishInto(other, first)
  const steps: string[] = []
  await publishInto(other, second, { onStep: (step) => steps.push(step) })
  rmSync(other, { recursive: true })
  return steps
}

async function finish(): Promise<void> {
  await publishInto(directory, second)
  expect(problemsOf(directory)).toEqual([])
  expect((await checkDirectory(directory, undefined)).wrong).toEqual([])
  expect([...manifest().files.keys()].sort()).toEqual(second.map(({ path }) => path).sort())
  expect(readdirSync(directory)).not.toContain('.staged')
  expect(readdirSync(directory)).not.toContain('.publishing')
}

describe('a publication that fails', () => {
  it('leaves the old state or the new one at each of its steps, and is finished by the next', async () => {
    const steps = await stepsOf()
    expect(steps.length).toBeGreaterThan(20)
    const before = everything()
    for (const [at, step] of steps.entries()) {
      let count = 0
      const failing = publishInto(directory, second, {
        onStep: () => {
          if (count++ === at) throw Object.assign(new Error('no space left on device'), { code: 'ENOSPC' })
        },
      })
      await expect(failing, step).rejects.toThrow()
      expect(problemsOf(directory), step).toEqual([])
      // Nothing is touched before all is written.
      if (step.startsWith('write') || step === 'stage') {
        expect(everything(), step).toEqual(before)
        expect([...manifest().files.keys()].sort()).toEqual(first.map(({ path }) => path).sort())
      }
      rmSync(directory, { recursive: true })
      await publishInto(directory, first)
    }
    await finish()
  })

  it('leaves one of them when it is killed, too', async () => {
    const steps = await stepsOf()
    const renames = steps.flatMap((step, at) => (step.startsWith('rename') ? [at] : []))
    const middle = renames[Math.floor(renames.length / 2)] ?? 0
    for (const at of [1, middle, steps.indexOf('rename manifest'), steps.length - 1]) {
      const { signal, stderr } = spawnSync(process.execPath, [killed, directory, String(at)], {
        encoding: 'utf8',
      })
      expect(signal, stderr).toBe('SIGKILL')
      expect(problemsOf(directory), steps[at]).toEqual([])
      await finish()
      rmSync(directory, { recursive: true })
      await publishInto(directory, first)
    }
  })
})

describe('publishing again', () => {
  it('writes nothing where nothing differs, and keeps the state before', async () => {
    const { kept } = await publishInto(directory, second)
    const before = read('manifest')
    const again = await publishInto(directory, second)
    expect(again).toMatchObject({ written: [], removed: [], kept, bytes: 0 })
    expect(read('manifest')).toBe(before)
  })

  it('keeps what clients of the state before ask for once, and what is found by its name alone not at all', async () => {
    const { kept, removed, written } = await publishInto(directory, second)
    const initrd = first.find(({ path }) => path.endsWith('/initrd'))?.path ?? ''
    expect(kept).toEqual(
      [initrd, 'machines/52-54-00-12-34-57.ipxe', 'repositories/apks/x86_64/first-1.apk'].sort(),
    )
    expect(removed).toEqual([
      'grub/grub.cfg-01-52-54-00-12-34-57',
      'pxelinux.cfg/01-52-54-00-12-34-57',
      'servers/command-line-52-54-00-12-34-57',
    ])
    expect(written).not.toContain(first.find(({ path }) => path.endsWith('/vmlinuz'))?.path)
    expect(everything()).toContain(initrd)
    const third = second.filter(({ path }) => !path.startsWith('overlays/'))
    const last = await publishInto(directory, third)
    expect(last.removed).toContain(initrd)
    expect(last.removed).toContain('overlays/52:54:00:12:34:56.apkovl.tar.gz')
    // A directory that is empty goes, too.
    expect(readdirSync(directory)).not.toContain('overlays')
  })

  it('writes again what somebody changed or removed', async () => {
    writeFileSync(join(directory, 'boot.ipxe'), read('boot.ipxe').toUpperCase())
    rmSync(join(directory, 'files'), { recursive: true })
    expect((await checkDirectory(directory, undefined)).wrong).toHaveLength(3)
    const { written } = await publishInto(directory, first)
    expect(written).toEqual(['boot.ipxe', ...first.slice(0, 2).map(({ path }) => path)].sort())
    expect((await checkDirectory(directory, undefined)).wrong).toEqual([])
  })

  it('leaves alone what others put there, and clears away what a killed one left below files/', async () => {
    writeFileSync(join(directory, 'README'), 'of mine')
    const stray = join(directory, 'files', 'a'.repeat(32))
    mkdirSync(stray)
    writeFileSync(join(stray, 'initrd'), 'nobody names it')
    await publishInto(directory, second)
    expect(read('README')).toBe('of mine')
    expect(readdirSync(join(directory, 'files'))).not.toContain('a'.repeat(32))
  })
})

describe('a directory', () => {
  it('that holds something else is refused, and left as it is', async () => {
    const foreign = join(top, 'foreign')
    mkdirSync(foreign)
    writeFileSync(join(foreign, 'index.html'), 'somebody’s')
    await expect(publishInto(foreign, first)).rejects.toThrow(
      /holds something that diskless did not publish: index.html/,
    )
    expect(readdirSync(foreign)).toEqual(['index.html'])
  })

  it('whose manifest names files outside of it is refused', async () => {
    writeFileSync(join(directory, 'manifest'), `diskless manifest 1\n${'0'.repeat(64)} 1 ../victim\nformer\n`)
    writeFileSync(join(top, 'victim'), 'x')
    await expect(publishInto(directory, second)).rejects.toThrow(/has a line that is none: .*victim/)
    expect(readFileSync(join(top, 'victim'), 'utf8')).toBe('x')
  })

  it('is published into by one at a time; a lock of the dead does not count', async () => {
    writeFileSync(join(directory, '.publishing'), `${process.pid}\n`)
    await expect(publishInto(directory, second)).rejects.toThrow(
      /another diskless \(process \d+\) is publishing/,
    )
    const { pid } = spawnSync('true')
    writeFileSync(join(directory, '.publishing'), `${pid}\n`)
    await publishInto(directory, second)
  })

  it('is not touched by a dry run', async () => {
    const before = everything()
    const changes = await publishInto(directory, second, { dryRun: true })
    expect(changes.written).toContain('boot.ipxe')
    expect(everything()).toEqual(before)
    expect((await publishInto(directory, second)).written).toEqual(changes.written)
  })
})

it('refuses a source that changes while it is published, and what is larger than the disk', async () => {
  const source = join(top, 'image')
  writeFileSync(source, 'one')
  const placed = await placeFile('image', source, 'the image')
  writeFileSync(source, 'two')
  await expect(publishInto(directory, [...first, placed])).rejects.toThrow(/changed while it was published/)
  const huge = { ...placed, size: 2 ** 60 }
  const refusal = publishInto(directory, [...first, huge])
  await expect(refusal).rejects.toThrow(/has room for [\d.]+ .?B, and 1152922 TB are to be written/)
  await expect(refusal).rejects.toBeInstanceOf(CommandError)
  expect(problemsOf(directory)).toEqual([])
  await expect(publishInto(join(top, 'new'), [huge])).rejects.toThrow(/has room for/)
  expect(existsSync(join(top, 'new'))).toBe(false)
})
