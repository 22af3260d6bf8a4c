/** What the shell is told: a "no" is another status than trouble on the way to an answer, in every command that asks. */

import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest'
import { packageRoot } from '../../../build/paths.ts'
import { manualPage } from '../../../scripts/docs/manual.ts'
import { makeOverlay } from '../../../scripts/repository/overlay.ts'
import { statusOf } from '../../../src/cli/command.ts'
import { commands } from '../../../src/cli/commands.ts'
import { knownCommands } from '../../../src/cli/completion/known.ts'
import { helpOf } from '../../../src/cli/help.ts'
import { key, makeIndex, tamperedIndex } from '../../support/scenario.ts'
import { listen } from './explain/asking.ts'

const directory = mkdtempSync(join(tmpdir(), 'diskless-status-'))
const at = (name: string) => join(directory, name)
const taken = createServer()
let port = 0

beforeAll(async () => {
  const overlay = (hostname: string) => makeOverlay({ hostname, world: [], runlevels: {} })
  writeFileSync(at('a.apkovl.tar.gz'), overlay('a'))
  writeFileSync(at('b.apkovl.tar.gz'), overlay('b'))
  writeFileSync(at('cut.apkovl.tar.gz'), gzipSync('no archive').subarray(0, 12))
  writeFileSync(at('index'), makeIndex())
  writeFileSync(at('tampered'), tamperedIndex())
  writeFileSync(at(key.name), key.publicPem)
  mkdirSync(at('changed'))
  const [digest, file] = ['0'.repeat(64), 'boot.ipxe']
  writeFileSync(at('changed/manifest'), `diskless manifest 1\n${digest} 4 ${file}\nformer\n`)
  mkdirSync(at('empty'))
  port = await listen(taken)
})

afterAll(() => {
  taken.close()
  rmSync(directory, { recursive: true, force: true })
})

afterEach(() => {
  vi.restoreAllMocks()
})

/** As src/cli/main.ts does it. */
async function status(line: string): Promise<number> {
  for (const stream of [process.stdout, process.stderr]) vi.spyOn(stream, 'write').mockReturnValue(true)
  const [name = '', ...words] = line.split(' ').map((word) => word.replace('@', `${directory}/`))
  const command = await commands[name]?.load()
  if (command === undefined) throw new Error(`there is no ${name}`)
  return command.run(words).catch(statusOf)
}

it.each([
  [0, 'overlay diff @a.apkovl.tar.gz @a.apkovl.tar.gz'],
  [1, 'overlay diff @a.apkovl.tar.gz @b.apkovl.tar.gz'],
  [2, 'overlay diff @a.apkovl.tar.gz'],
  [3, 'overlay diff @a.apkovl.tar.gz @absent.apkovl.tar.gz'],
  [3, 'overlay diff @a.apkovl.tar.gz @cut.apkovl.tar.gz'],
  // Nothing was asked: it just did not work.
  [1, 'overlay edit @absent.apkovl.tar.gz --world vim'],
  [0, 'explain quiet'],
  [1, 'explain nbd=1:2'],
  [2, 'explain quiet --mac nonsense'],
  [3, 'explain quiet --initrd @absent'],
  [0, 'inspect @index'],
  [1, `inspect @tampered --keys @${key.name}`],
  [1, `inspect @index @tampered --keys @${key.name}`],
  [3, 'inspect @absent'],
  [3, `inspect @tampered @absent --keys @${key.name}`],
  [3, 'inspect @index --keys @absent'],
  [1, 'publish @changed --check'],
  [3, 'publish @empty --check'],
  [3, 'publish @changed --check --key @absent'],
  [1, 'publish @out --boot @absent --server 10.0.0.1/24'],
  [3, 'boot @empty --once'],
  [1, 'boot @empty'],
  [3, 'watch --listen 127.0.0.1:PORT --until 1'],
  [1, 'watch --listen 127.0.0.1:PORT'],
])('%i: diskless %s', async (expected, line) => {
  expect(await status(line.replace('PORT', String(port)))).toBe(expected)
})

describe('watch --until that is ended before', () => {
  it('tells nothing of the machines that were waited for', async () => {
    const waiting = status('watch --listen 127.0.0.1:0 --until 2')
    await vi.waitFor(() => expect(process.listenerCount('SIGHUP')).toBeGreaterThan(0))
    await vi.waitFor(() => expect(process.stderr.write).toHaveBeenCalled())
    process.emit('SIGHUP')
    expect(await waiting).toBe(3)
  })
})

it('comes through to the shell, and the error with it', () => {
  const run = (...words: string[]) =>
    spawnSync(process.execPath, [join(packageRoot, 'bin/diskless'), 'overlay', 'diff', '--json', ...words], {
      encoding: 'utf8',
    })
  const { status, stdout, stderr } = run(at('a.apkovl.tar.gz'), at('absent.apkovl.tar.gz'))
  expect([status, stdout]).toEqual([3, ''])
  expect(JSON.parse(stderr)).toMatchObject({ error: expect.stringContaining('absent.apkovl.tar.gz') })
  expect(run(at('a.apkovl.tar.gz'), at('b.apkovl.tar.gz')).status).toBe(1)
})

it('is in the help of each command as it is there, and in the manual page for all', async () => {
  const known = await knownCommands(commands)
  const said = (name: string) => {
    const description = known.find((each) => each.name === name)?.description
    if (description === undefined) throw new Error(`there is no ${name}`)
    return helpOf(description).replaceAll(/\s+/g, ' ')
  }
  expect(said('build')).toContain(
    'Exit status: 0, it is done; 1, it did not work; 2, the command line is wrong.',
  )
  expect(said('overlay')).toContain(
    '1, it did not work, or with diff: the overlays differ; 2, the command line is wrong; 3, with diff: that could not be told.',
  )
  expect(said('inspect')).toContain('Exit status: 0, all is well; 1, a signature is wrong')
  expect(manualPage(known, '1.0')).toContain('.B 3\na question could not be answered')
})
