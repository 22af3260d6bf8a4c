import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { packageRoot } from '../../../build/paths.ts'
import { parse } from '../../../src/cli/build.ts'
import { UsageError } from '../../../src/cli/command.ts'

function diskless(...words: string[]) {
  const environment: NodeJS.ProcessEnv = { ...process.env }
  delete environment.DISKLESS_DEBUG
  const options = { encoding: 'utf8', env: environment } as const
  return spawnSync(process.execPath, [join(packageRoot, 'bin/diskless'), ...words], options)
}

describe('the diskless command', () => {
  it('lists its commands', () => {
    const { status, stdout } = diskless('--help')
    expect(status).toBe(0)
    expect(stdout).toMatch(/^ {2}build +makes/m)
  })

  it('corrects a mistyped command, without a stack', () => {
    const { status, stderr } = diskless('biuld')
    expect(status).toBe(2)
    expect(stderr).toBe(
      "diskless: there is no command 'biuld': did you mean 'build'?\n'diskless --help' lists the commands.\n",
    )
  })

  it('says what a build failed at and what to do, without a stack', () => {
    const { status, stderr } = diskless('build', '--kernel', '/nowhere', '--out', '/nowhere/out')
    expect(status).toBe(1)
    expect(stderr).toMatch(/^diskless: there is no kernel at \/nowhere\nName a modules directory/)
    expect(stderr).not.toContain('    at ')
  })
})

describe("build's options", () => {
  const least = ['--kernel', 'K', '--out', 'O']

  it('read lists, repetitions and files', () => {
    const words = [
      '--modules',
      'nfs,virtio',
      '--modules',
      'e1000',
      '--keys',
      'a',
      '--keys',
      'b',
      '--file',
      'x=/etc/x',
    ]
    expect(parse([...least, ...words, '--append', 'quiet ip=dhcp', '--no-shell'])).toMatchObject({
      kernel: 'K',
      out: 'O',
      modules: ['nfs', 'virtio', 'e1000'],
      keys: ['a', 'b'],
      files: [{ source: 'x', destination: '/etc/x' }],
      commandLine: 'quiet ip=dhcp',
      shell: 'none',
    })
  })

  it.each([
    [['--out', 'O'], /--kernel is missing/],
    [['--kernel', 'K'], /--out is missing/],
    [[...least, '--file', 'x=etc/x'], /the path absolute/],
    [[...least, '--no-shell', '--shell-password-file', 'p'], /exclude each other/],
    [[...least, 'stray'], /stray/],
  ])('refuse %j', (words, message) => {
    expect(() => parse(words)).toThrow(UsageError)
    expect(() => parse(words)).toThrow(message)
  })

  it('correct a mistyped option', () => {
    try {
      parse(['--kernl', 'K'])
      expect.unreachable()
    } catch (error) {
      expect(error).toBeInstanceOf(UsageError)
      expect(error instanceof UsageError && error.advice[0]).toBe("Did you mean '--kernel'?")
    }
  })
})
