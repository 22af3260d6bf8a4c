/** What a person at the keyboard gets wrong, the same for every command: options, empty variables, a full disk behind `>`. */

import { spawnSync } from 'node:child_process'
import { closeSync, existsSync, mkdirSync, openSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { packageRoot } from '../../../build/paths.ts'
import { temporaryDirectory } from '../build/synthetic.ts'

const program = join(packageRoot, 'bin/diskless')

function diskless(...words: string[]) {
  return disklessIn(temporaryDirectory(), ...words)
}

function disklessIn(cwd: string, ...words: string[]) {
  const { DISKLESS_DEBUG, ...env } = process.env
  return spawnSync(process.execPath, [program, ...words], {
    encoding: 'utf8',
    env,
    cwd,
  })
}

describe('a wrong command line', () => {
  it.each([
    [['build', '--kernl=x'], "there is no option '--kernl'\nDid you mean '--kernel'?"],
    [['build', '-x'], "there is no option '-x'"],
    [['-x'], "there is no option '-x'"],
    [['build', '--kernel', '--out', 'x'], "--kernel takes a value: --kernel SOURCE\n'diskless build"],
    [
      ['watch', '--most', '-1'],
      '--most takes a value: --most COUNT\nOne that begins with a dash is written with =: --most=-1',
    ],
    [['build', '--json=1'], '--json takes no value'],
    [['build', '--dev=yes'], '--dev takes no value'],
    [['build', '--kernel', 'a', '--kernel', 'b'], '--kernel is given twice, and has one value only'],
    [['build', '--kernel', 'k', '--out', ''], '--out is empty: a variable of the shell that is not set?'],
    [['publish', ''], 'DIR is empty: a variable of the shell that is not set?'],
  ])('%j is told in words that say what to write instead', (words, message) => {
    const { status, stderr, stdout } = diskless(...words)
    expect([status, stdout]).toEqual([2, ''])
    expect(stderr).toContain(`diskless: ${message}`)
  })

  it('is none where --json or --quiet stand before the command, or an option may be repeated', () => {
    const { status, stderr } = diskless('--json', 'inspect', '--', '--quiet')
    expect([status, JSON.parse(stderr)]).toMatchObject([3, { error: 'the file --quiet could not be read' }])
    expect(diskless('build', '--keys', 'a', '--keys', 'b').stderr).toContain('--kernel is missing')
    expect(diskless('explain', '').status).toBe(0)
  })
})

describe.skipIf(!existsSync('/dev/full'))('what cannot be written', () => {
  it('is said in words, without a stack', () => {
    const full = openSync('/dev/full', 'w')
    try {
      const { status, stderr } = spawnSync(process.execPath, [program, 'build', '--help'], {
        encoding: 'utf8',
        stdio: ['ignore', full, 'pipe'],
      })
      expect(status).toBe(1)
      expect(stderr).toMatch(/^diskless: the output could not be written\n {2}ENOSPC/)
      expect(stderr).not.toContain('    at ')
    } finally {
      closeSync(full)
    }
  })
})

describe('what the kernel refuses', () => {
  it('is told with a remedy where nobody has a better one', () => {
    const root = temporaryDirectory()
    mkdirSync(join(root, 'directory'))
    const { status, stderr } = disklessIn(
      root,
      'build',
      '--kernel',
      'k',
      '--out',
      'o',
      '--from-machine',
      'directory',
    )
    expect(status).toBe(1)
    expect(stderr).toBe(
      'diskless: the file directory could not be read\n  EISDIR: illegal operation on a directory, read\nIt is a directory, and a file is wanted.\n',
    )
  })
})

describe('a file of a stranger', () => {
  it('is quoted without what a terminal obeys', () => {
    const root = temporaryDirectory()
    writeFileSync(join(root, 'list'), '\u001b]0;owned\u0007 \u001b[2J\n')
    const words = ['--kernel', 'k', '--out', 'o', '--from-machine', 'list']
    const { status, stderr } = disklessIn(root, 'build', ...words)
    expect([status, stderr.includes('\u001b')]).toEqual([1, false])
    expect(stderr).toContain("list is no list of modaliases: ' ]0;owned")
  })
})

describe('a file where a directory is to be', () => {
  it('is named, and left as it is', () => {
    const root = temporaryDirectory()
    writeFileSync(join(root, 'file'), '')
    expect(disklessIn(root, 'overlay', 'new', 'a.apkovl.tar.gz', '--hostname', 'a').status).toBe(0)
    for (const words of [
      ['overlay', 'unpack', 'a.apkovl.tar.gz', 'file'],
      ['watch', '--listen', '127.0.0.1:1', '--save', 'file'],
    ]) {
      const { status, stderr } = disklessIn(root, ...words)
      expect(status).not.toBe(0)
      expect(stderr).toMatch(/^diskless: file is no directory, and cannot be made one \(EEXIST\)\n/)
    }
  })
})
