import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { type Entry, writeCpio } from '../../../build/cpio.ts'
import { packageRoot } from '../../../build/paths.ts'
import { temporaryDirectory } from './synthetic.ts'

const busybox = join(packageRoot, 'node_modules/busybox-static/bin/busybox')

/** busybox's own cpio, which nobody here wrote. */
function cpio(archive: Buffer, options: string[], directory: string): string {
  const result = spawnSync(busybox, ['cpio', ...options], {
    input: archive,
    cwd: directory,
    encoding: 'utf8',
  })
  expect(result.status, result.stderr).toBe(0)
  return result.stdout
}

describe('the cpio writer', () => {
  const tree = new Map<string, Entry>([
    ['init', { kind: 'file', mode: 0o755, bytes: Buffer.from('#!program\n') }],
    ['bin/sh', { kind: 'symlink', target: 'busybox' }],
    ['dev/console', { kind: 'character', mode: 0o600, major: 5, minor: 1 }],
    ['tmp', { kind: 'directory', mode: 0o1777 }],
    ['etc/deep/er/odd', { kind: 'file', mode: 0o640, bytes: Buffer.from('12345') }],
  ])

  it('writes what cpio reads back, parents included', () => {
    const directory = temporaryDirectory()
    const archive = writeCpio(tree)
    const listing = cpio(archive, ['-tv'], directory).trim().split('\n')
    const seen = listing.map((line) => `${line.slice(0, 10)} ${line.replace(/^.*\d\d:\d\d:\d\d /, '')}`)
    expect(seen).toEqual([
      'drwxr-xr-x bin',
      'lrwxrwxrwx bin/sh -> busybox',
      'drwxr-xr-x dev',
      'crw------- dev/console',
      'drwxr-xr-x etc',
      'drwxr-xr-x etc/deep',
      'drwxr-xr-x etc/deep/er',
      '-rw-r----- etc/deep/er/odd',
      '-rwxr-xr-x init',
      'drwxrwxrwt tmp',
    ])
    // busybox's listing leaves the device's numbers out: rdevmajor and rdevminor, the header's fields 10 and 11.
    const header = archive.toString('latin1').indexOf('dev/console') - 110
    expect(archive.toString('latin1', header + 6 + 9 * 8, header + 6 + 11 * 8)).toBe('0000000500000001')
    cpio(archive, ['-id', 'init', 'etc/deep/er/odd'], directory)
    expect(readFileSync(join(directory, 'init'), 'utf8')).toBe('#!program\n')
    expect(readFileSync(join(directory, 'etc/deep/er/odd'), 'utf8')).toBe('12345')
  })

  it('gives the same bytes whatever the order of insertion', () => {
    expect(writeCpio(new Map([...tree].reverse()))).toEqual(writeCpio(tree))
  })

  it.each(['../etc/passwd', '/init', 'a//b', 'a/./b', ''])('refuses the name %j', (name) => {
    const entry: Entry = { kind: 'directory', mode: 0o755 }
    expect(() => writeCpio(new Map([[name, entry]]))).toThrow('not a name inside an initrd')
  })

  it('refuses a file inside a file', () => {
    const inside: Entry = { kind: 'directory', mode: 0o755 }
    expect(() => writeCpio(new Map([...tree, ['init/x', inside]]))).toThrow(
      "'init/x' lies in 'init', which is no directory",
    )
  })
})
