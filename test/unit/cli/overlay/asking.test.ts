/** The password of an overlay, asked for on a terminal: a real one (script(1) makes it), typed at, looked at afterwards. */

import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { packageRoot } from '../../../../build/paths.ts'
import { at, out, overlay, useSite } from './site.ts'

useSite()

const hasTerminal = spawnSync('script', ['--version'], { encoding: 'utf8' }).stdout?.includes('util-linux')
const secret = `${out}.aes-256-cbc`
const password = 'correct horse'

/** Somebody at a terminal: a line is read first, which shows that the terminal echoes what is typed. */
class Terminal {
  said = ''
  readonly #child: ChildProcess
  readonly #ended: Promise<unknown>

  constructor(...words: readonly string[]) {
    const command = [process.execPath, join(packageRoot, 'bin/diskless'), 'overlay', ...words]
    const quoted = command.map((word) => `'${word}'`).join(' ')
    const kept = (name: string) => `stty -g >'${at(name)}'`
    const shell = `${kept('before')}; read line; ${quoted}; echo "status=$?"; ${kept('after')}`
    this.#child = spawn('script', ['--quiet', '--command', shell, '/dev/null'], {
      stdio: ['pipe', 'pipe', 'inherit'],
      env: { ...process.env, NO_COLOR: '1', SHELL: '/bin/sh' },
    })
    this.#child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.said += text
    })
    this.#ended = once(this.#child, 'close')
    this.type('typed in the open\r')
  }

  type(text: string): void {
    this.#child.stdin?.write(text)
  }

  /** Waits for something that is said after what was said before. */
  async hear(text: string, times = 1): Promise<void> {
    while (this.said.split(text).length <= times) {
      const more = once(this.#child.stdout ?? this.#child, 'data')
      const end = this.#ended.then(() => Promise.reject(new Error(`it ended, having said ${this.said}`)))
      await Promise.race([more, end])
    }
  }

  /** What the command ended with, and whether the terminal is as it was. */
  async end(): Promise<{ readonly status: string | undefined; readonly restored: boolean }> {
    await this.#ended
    const settings = ['before', 'after'].map((name) => readFileSync(at(name), 'utf8'))
    return { status: /status=(\d+)/.exec(this.said)?.[1], restored: settings[0] === settings[1] }
  }

  stop(): void {
    this.#child.kill()
  }
}

let terminal: Terminal | undefined
afterEach(() => {
  terminal?.stop()
  terminal = undefined
  for (const name of ['before', 'after']) rmSync(at(name), { force: true })
})

describe.skipIf(!hasTerminal)('a password on a terminal', () => {
  it('is asked for twice where it is new, and neither is to be seen; the third time it opens the overlay', async () => {
    terminal = new Terminal('new', secret, '--world', 'vim')
    await terminal.hear(`Password of the overlay ${secret}: `)
    // Typing errors are corrected, and not to be seen either.
    terminal.type(`${password}XY\x7f\x7f\r`)
    await terminal.hear('The same again: ')
    terminal.type(`${password}\r`)
    expect(await terminal.end()).toEqual({ status: '0', restored: true })
    expect(terminal.said).toContain('typed in the open')
    expect(terminal.said).not.toMatch(/correct|horse|\*/)

    terminal = new Terminal('diff', secret, secret)
    await terminal.hear('Password of the overlay')
    terminal.type(`${password}\r`)
    expect(await terminal.end()).toEqual({ status: '0', restored: true })
    // Once is enough for both.
    expect(terminal.said.split('Password of')).toHaveLength(2)
    expect(terminal.said).not.toMatch(/correct|horse/)
  })

  it('that is wrong is refused, and the file named; two different ones make nothing', async () => {
    expect(await overlay('new', secret, '--passphrase-file', at('secret'))).toMatchObject({ status: 0 })
    terminal = new Terminal('diff', secret, secret)
    await terminal.hear('Password of the overlay')
    terminal.type(`${password}\r`)
    expect(await terminal.end()).toEqual({ status: '3', restored: true })
    expect(terminal.said).toContain(`the password does not open ${secret}`)
    expect(terminal.said).not.toMatch(/horse/)

    rmSync(secret)
    terminal = new Terminal('new', secret)
    await terminal.hear('Password of the overlay')
    terminal.type(`${password}\r`)
    await terminal.hear('The same again: ')
    terminal.type('incorrect horse\r')
    expect(await terminal.end()).toEqual({ status: '1', restored: true })
    expect(terminal.said).toContain('these were two different passwords')
    expect(terminal.said).not.toMatch(/horse/)
    expect(existsSync(secret)).toBe(false)
  })

  it.each([
    ['Ctrl-C', '\x03'],
    ['Ctrl-D', '\x04'],
  ])('is not given by %s: nothing is made, and the terminal is as it was', async (_, key) => {
    terminal = new Terminal('new', secret)
    await terminal.hear('Password of the overlay')
    terminal.type(`hor${key === '\x04' ? '\x15' : ''}${key}`)
    expect(await terminal.end()).toEqual({ status: '1', restored: true })
    expect(terminal.said).toContain('no password was given')
    expect(terminal.said).not.toMatch(/hor/)
    expect(existsSync(secret)).toBe(false)
  })
})

it('without a terminal, the option is named that takes its place', () => {
  const { status, stderr } = spawnSync(
    process.execPath,
    [join(packageRoot, 'bin/diskless'), 'overlay', 'new', secret],
    { encoding: 'utf8', input: `${password}\n` },
  )
  expect(status).toBe(1)
  expect(stderr).toContain('nobody is there to be asked for it')
  expect(stderr).toContain('--passphrase-file FILE')
  expect(existsSync(secret)).toBe(false)
})
