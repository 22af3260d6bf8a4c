/** `diskless boot` as a program, with a QEMU that is none: what it says, with which status it ends, and what it leaves behind. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  watch,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { writeBootScript } from '../../../build/ipxe.ts'
import { uefi } from '../../../src/cli/boot/programs.ts'
import { bootCommand } from '../../../src/cli/boot.ts'

const program = fileURLToPath(new URL('../../../src/cli/main.ts', import.meta.url))
const fake = fileURLToPath(new URL('../../support/qemu/fake-qemu.ts', import.meta.url))
/** Starting Node on a busy machine is what takes time here. */
const patience = 30_000
vi.setConfig({ testTimeout: 2 * patience })

let scratch = ''
let children: ChildProcess[] = []
const inScratch = (...names: string[]) => join(scratch, ...names)

beforeEach(() => {
  scratch = mkdtempSync(join(tmpdir(), 'diskless-session-'))
  for (const name of ['bin', 'boot', 'tmp']) mkdirSync(inScratch(name))
  const wrapper = inScratch('bin', 'qemu-system-x86_64')
  writeFileSync(wrapper, `#!/bin/sh\nexec '${process.execPath}' --no-warnings '${fake}' "$@"\n`)
  chmodSync(wrapper, 0o755)
  writeFileSync(inScratch('log'), '')
  publish('console=ttyS0')
})
afterEach(() => {
  vi.unstubAllEnvs()
  for (const child of children) child.kill('SIGKILL')
  for (const { pid } of asked()) if (isRunning(pid)) process.kill(pid, 'SIGKILL')
  children = []
  rmSync(scratch, { recursive: true, force: true })
})

function publish(commandLine: string): void {
  writeFileSync(inScratch('boot', 'boot.ipxe'), writeBootScript(commandLine))
  writeFileSync(inScratch('boot', 'vmlinuz'), 'kernel')
  writeFileSync(inScratch('boot', 'initrd'), 'initrd')
}

const environment = (act: string, more: NodeJS.ProcessEnv = {}) => ({
  ...process.env,
  ...{ FAKE_QEMU: act, FAKE_QEMU_LOG: inScratch('log'), TMPDIR: inScratch('tmp') },
  PATH: `${inScratch('bin')}:${process.env.PATH}`,
  ...more,
})

interface Asked {
  readonly pid: number
  readonly parent: number
  readonly words: readonly string[]
}

/** Each time that the fake was asked for a machine. */
function asked(): readonly Asked[] {
  const lines = existsSync(inScratch('log')) ? readFileSync(inScratch('log'), 'utf8').split('\n') : []
  return lines.filter(Boolean).map((line) => JSON.parse(line))
}

/** A zombie, which nobody has looked after yet, does not run. */
function isRunning(pid: number): boolean {
  try {
    return !/^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))
  } catch {
    return false
  }
}

const leavings = () => readdirSync(inScratch('tmp'))

async function until(condition: () => boolean): Promise<void> {
  const watcher = watch(scratch, { recursive: true })
  try {
    while (!condition()) {
      const change = once(watcher, 'change', { signal: AbortSignal.timeout(patience) })
      // It may have come between the look and the listening.
      if (condition()) break
      await change
    }
  } finally {
    watcher.close()
  }
}

/** A machine is asked for. */
async function machine(): Promise<Asked> {
  await until(() => asked().length > 0)
  const [first] = asked()
  if (first === undefined) throw new Error('no machine was asked for')
  return first
}

interface Run {
  readonly child: ChildProcess
  readonly ended: Promise<{
    readonly status: number | null
    readonly stdout: string
    readonly stderr: string
  }>
  says(pattern: RegExp): Promise<void>
}

function run(act: string, words: readonly string[], more: NodeJS.ProcessEnv = {}): Run {
  const child = spawn(process.execPath, [program, 'boot', inScratch('boot'), ...words], {
    env: environment(act, more),
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  children.push(child)
  const said = { stdout: '', stderr: '' }
  for (const stream of ['stdout', 'stderr'] as const) {
    child[stream].setEncoding('utf8').on('data', (text: string) => {
      said[stream] += text
    })
  }
  return {
    child,
    ended: once(child, 'close').then(() => ({ status: child.exitCode, ...said })),
    async says(pattern) {
      while (!pattern.test(said.stdout)) await once(child.stdout, 'data')
    },
  }
}

describe('an interruption', () => {
  it.each([
    ['before QEMU is up', 'silent', []],
    ['while KVM is tried', 'hangs with KVM', ['--kvm']],
    ['behind a bad wire', 'silent', ['--loss', '10', '--delay', '60000']],
  ] as const)('%s leaves nothing behind', async (_, act, words) => {
    const { child, ended } = run(act, words)
    const { pid } = await machine()
    child.kill('SIGINT')
    expect(await ended).toMatchObject({ status: 130, stderr: expect.not.stringContaining('diskless:') })
    expect([isRunning(pid), leavings()]).toEqual([false, []])
  })

  it.each([
    ['SIGTERM', 143, []],
    ['SIGHUP', 129, ['--once']],
    ['SIGQUIT', 131, ['--delay', '60000', '--direct']],
  ] as const)('by %s while the machine runs ends with %i', async (signal, status, words) => {
    const { child, ended, says } = run('runs', words)
    await says(/Linux version/)
    child.kill(signal)
    // Impatience changes nothing.
    child.kill(signal)
    expect((await ended).status).toBe(status)
    expect([asked().map(({ pid }) => isRunning(pid)), leavings()]).toEqual([[false], []])
  })

  it('that cannot be heard ends the machine, and leaves a directory', async () => {
    const { child, ended, says } = run('runs', [])
    await says(/Linux version/)
    child.kill('SIGKILL')
    await ended
    // The kernel does it.
    await vi.waitFor(() => expect(asked().map(({ pid }) => isRunning(pid))).toEqual([false]), {
      timeout: patience,
    })
    expect(leavings()).toEqual([expect.stringMatching(/^diskless-boot-/)])
  })

  it('is a reader that goes, too', async () => {
    const words = `'${process.execPath}' '${program}' boot '${inScratch('boot')}'`
    const child = spawn('sh', ['-c', `${words} | head -n 1`], { env: environment('talks'), stdio: 'pipe' })
    children.push(child)
    await once(child, 'close')
    await vi.waitFor(() => expect(asked().map(({ pid }) => isRunning(pid))).toEqual([false]), {
      timeout: patience,
    })
    expect(leavings()).toEqual([])
  })
})

describe('on a terminal', () => {
  /** script(1) gives one. What is said there comes from its standard output. */
  function onTerminal(after: string): { readonly child: ChildProcess; readonly text: () => string } {
    const words = `'${process.execPath}' '${program}' boot '${inScratch('boot')}'`
    const child = spawn('script', ['-qec', `${words}; ${after}`, '/dev/null'], {
      env: { ...environment('runs'), SHELL: '/bin/sh' },
      stdio: ['pipe', 'pipe', 'pipe'],
    })
    children.push(child)
    let text = ''
    child.stdout?.setEncoding('utf8').on('data', (more: string) => {
      text += more
    })
    return { child, text: () => text }
  }

  it('says how to leave, and gives the terminal back as it was', async () => {
    const { child, text } = onTerminal('echo status $?; stty -a')
    const { parent } = await machine()
    while (!text().includes('Linux version')) await once(child.stdout ?? child, 'data')
    process.kill(parent, 'SIGTERM')
    await once(child, 'close')
    expect(text()).toMatch(/Ctrl-A X switches the machine off/)
    expect(text()).toMatch(/The machine is off\.[\s\S]*status 143/)
    expect(text()).toMatch(/ icanon\b.* echo\b/s)
    // SeaBIOS switches that off.
    expect(text()).toContain('\u001b[?7h')
    expect(leavings()).toEqual([])
  })

  it('that is closed ends the machine', async () => {
    const { child, text } = onTerminal('true')
    const { parent, pid } = await machine()
    while (!text().includes('Linux version')) await once(child.stdout ?? child, 'data')
    child.kill('SIGKILL')
    await vi.waitFor(() => expect([isRunning(parent), isRunning(pid)]).toEqual([false, false]), {
      timeout: patience,
    })
    expect(leavings()).toEqual([])
  })
})

describe('--once', () => {
  const timeline = () => inScratch('boot.json')

  it('is 0 for a system that takes over, and says so', async () => {
    const { status, stdout, stderr } = await run('comes up', ['--once', '--timeline', timeline()]).ended
    expect([status, stderr]).toEqual([0, `Its timeline as a picture: diskless timeline ${timeline()}\n`])
    expect(stdout).toMatch(/^Linux version.*\n\nup: the system took over 1\.2\d s after its kernel began, /)
    expect(JSON.parse(readFileSync(timeline(), 'utf8'))).toEqual({ version: 1, phases: [] })
    expect(leavings()).toEqual([])
  })

  it('is 1 for a boot that failed, with its causes and what to do', async () => {
    const { status, stdout } = await run('fails', ['--once']).ended
    expect(status).toBe(1)
    expect(stdout).toMatch(
      /failed after 1\.2\d s: the overlay could not be fetched: the server answered 404\n/,
    )
    // What it would do to a terminal is not among it.
    expect(stdout).toMatch(/\nPut it there.*\.\n$/)
    expect(stdout).not.toContain('\u001b')
  })

  it('is JSON alone where that is asked for', async () => {
    const { status, stdout, stderr } = await run('fails', ['--once', '--json']).ended
    expect([status, stderr]).toEqual([1, ''])
    expect(JSON.parse(stdout)).toMatchObject({
      ...{ up: false, at: 1234, timeline: { phases: [] } },
      causes: ['the overlay could not be fetched', 'the server answered 404'],
      advice: [expect.stringContaining('Put it there')],
    })
  })

  it('is 3 where QEMU ends first: nobody knows; with what it says', async () => {
    const { status, stderr } = await run('dies', ['--once']).ended
    expect(status).toBe(3)
    expect(stderr).toMatch(
      /QEMU ended \(failed\) before the machine was up or had failed\n {2}QEMU: fake: out of order/,
    )
  })
})

describe('a bad wire', () => {
  it('is said to be slow where it will be', async () => {
    const bad = await run('comes up', ['--once', '--loss', '10', '--delay', '60000']).ended
    expect(bad).toMatchObject({
      status: 0,
      stderr: expect.stringMatching(
        /QEMU’s own TCP is slow[^\n]*\n.* by TFTP, .*: about \d+ minutes .*--direct/,
      ),
    })
    const well = await run('comes up', ['--once', '--loss', '1', '--direct', '--quiet']).ended
    expect(well).toMatchObject({ status: 0, stderr: '' })
  })
})

describe('what cannot be had', () => {
  it('is KVM, or a line that speaks: a word, and the machine is emulated', async () => {
    publish('quiet')
    const { status, stderr } = await run('comes up', ['--kvm', '--once']).ended
    expect([status, stderr.split('\n')]).toEqual([
      0,
      [
        expect.stringMatching(
          /^KVM does not work here \((fake: no KVM|.*\/dev\/kvm)\): emulated, which is slower$/,
        ),
        expect.stringContaining('--direct adds it'),
        '',
      ],
    ])
    expect(asked().map(({ words }) => words.slice(0, 2))).toEqual([['-accel', 'tcg']])
  })

  it.each([
    [['--loss', '10'], /QEMU 5\.2\.0 is too old for --loss and --delay, which need 7\.2/, /newer QEMU/],
    [['--timeline', 'none/x.json'], /--timeline .*none\/x\.json: there is no directory/, /mkdir -p /],
    [['--console', 'none/x.log'], /--console .*none\/x\.log: there is no directory/, /mkdir -p /],
  ] as const)('%j is told before anything runs', async (words, message, advice) => {
    for (const [name, value] of Object.entries(environment('runs', { FAKE_QEMU_VERSION: '5.2.0' }))) {
      vi.stubEnv(name, value)
    }
    await expect(bootCommand.run([inScratch('boot'), '--once', ...words])).rejects.toMatchObject({
      cause: { message: expect.stringMatching(message), advice: [expect.stringMatching(advice)] },
    })
    expect([asked(), leavings()]).toEqual([[], []])
  })

  it('is a UEFI firmware', () => {
    expect(() => uefi(scratch, [[inScratch('none'), inScratch('none')]])).toThrow(/no UEFI firmware/)
  })
})
