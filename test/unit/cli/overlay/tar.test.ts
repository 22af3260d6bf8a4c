/** The tar of an overlay: read and written as busybox does, whose tar lbu runs; nothing in it is believed. */

import { execFileSync } from 'node:child_process'
import {
  chmodSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeEach, describe, expect, it } from 'vitest'
import { packageRoot } from '../../../../build/paths.ts'
import {
  directory as oldDirectory,
  file as oldFile,
  writeTar as writeUstar,
} from '../../../../scripts/repository/tar.ts'
import { type Entry, put, root, take } from '../../../../src/cli/overlay/entry.ts'
import { readTar } from '../../../../src/cli/overlay/tar-read.ts'
import { writeTar } from '../../../../src/cli/overlay/tar-write.ts'

const busybox = createRequire(join(packageRoot, 'package.json')).resolve('busybox-static/bin/busybox')
const scratch = mkdtempSync(join(tmpdir(), 'diskless-tar-'))
const place = join(scratch, 'tree')

beforeEach(() => {
  rmSync(place, { recursive: true, force: true })
  mkdirSync(place)
})
afterAll(() => rmSync(scratch, { recursive: true }))

const facts = { ...root, mode: 0o644, mtime: 1_700_000_000, records: new Map<string, Buffer>() }
const file = (text: string, more: Partial<typeof facts> = {}): Entry => ({
  kind: 'file',
  bytes: Buffer.from(text),
  ...facts,
  ...more,
})
const long = `etc/${'long/'.repeat(30)}name`

describe('an overlay’s tar', () => {
  it('keeps owners, modes, devices, links, attributes and long names, and is the same bytes each time', () => {
    const all = new Map<string, Entry>()
    const set = (path: string, entry: Entry) => put(all, path, entry, 'it')
    set('etc/shadow', file('x', { mode: 0o4640, gid: 42, group: 'shadow' }))
    set('etc/other', {
      kind: 'hardlink',
      target: 'etc/shadow',
      ...facts,
      gid: 42,
      group: 'shadow',
      mode: 0o4640,
    })
    set('etc/a-link', { kind: 'symlink', target: `../${'far/'.repeat(40)}away`, ...facts, mode: 0o777 })
    set('dev/null', { kind: 'character', major: 1, minor: 3, ...facts, mode: 0o666 })
    set('dev/sda', { kind: 'block', major: 8, minor: 300, ...facts })
    set('run/pipe', { kind: 'fifo', ...facts })
    set(long, file('far', { uid: 4_000_000_000, gid: 3_000_000 }))
    const capability = Buffer.from([1, 0, 0, 2, 0, 0x0a, 0xff, 0])
    set(
      'usr/bin/ping',
      file('ping', { mode: 0o755, records: new Map([['SCHILY.xattr.security.capability', capability]]) }),
    )
    const archive = writeTar(all)
    const read = readTar(archive, 'it')
    expect(new Map([...read].sort())).toEqual(new Map([...all].sort()))
    expect(writeTar(new Map([...read].reverse()))).toEqual(archive)
  })

  it('is read by busybox as it was meant, and that of busybox is read as it was packed', () => {
    const all = new Map<string, Entry>()
    put(all, 'etc/secret', file('s', { mode: 0o640 }), 'it')
    put(all, long, file('far', { records: new Map([['SCHILY.xattr.user.note', Buffer.from('hm')]]) }), 'it')
    put(all, 'etc/again', { kind: 'hardlink', target: 'etc/secret', ...facts }, 'it')
    put(all, 'etc/link', { kind: 'symlink', target: 'secret', ...facts, mode: 0o777 }, 'it')
    execFileSync(busybox, ['tar', '-x', '-C', place], { input: writeTar(all) })
    expect(lstatSync(join(place, 'etc/secret')).mode & 0o7777).toBe(0o640)
    expect(lstatSync(join(place, 'etc/again')).ino).toBe(lstatSync(join(place, 'etc/secret')).ino)
    expect(readFileSync(join(place, long), 'utf8')).toBe('far')

    writeFileSync(join(place, 'etc/new'), 'n')
    chmodSync(join(place, 'etc/new'), 0o1751)
    symlinkSync('/etc/init.d/sshd', join(place, 'etc/sshd'))
    const names = ['etc', 'etc/new', 'etc/sshd', 'etc/secret', 'etc/again', long]
    const packed = execFileSync(busybox, ['tar', '-c', '--no-recursion', '-T', '-'], {
      input: `${names.join('\n')}\n`,
      cwd: place,
    })
    const read = readTar(packed, 'it')
    expect([...read.keys()]).toEqual(names)
    expect(read.get('etc/new')).toMatchObject({ kind: 'file', mode: 0o1751, uid: process.getuid?.() })
    expect(read.get('etc/sshd')).toMatchObject({ kind: 'symlink', target: '/etc/init.d/sshd' })
    expect(read.get('etc/again')).toMatchObject({ kind: 'hardlink', target: 'etc/secret' })
    expect(read.get(long)).toMatchObject({ kind: 'file', bytes: Buffer.from('far') })
  })

  it('is read from pax and ustar, with names from ./', () => {
    const read = readTar(writeUstar([oldDirectory('./etc'), oldFile(`./${long}`, 'far')]), 'it')
    expect([...read.keys()]).toEqual(['etc', long])
  })

  it('gives a file that goes to its other names', () => {
    const all = new Map<string, Entry>([
      ['a', file('one')],
      ['b', { kind: 'hardlink', target: 'a', ...facts }],
      ['c', { kind: 'hardlink', target: 'a', ...facts }],
    ])
    expect(take(all, 'a')).toBe(true)
    expect(all.get('b')).toMatchObject({ kind: 'file', bytes: Buffer.from('one') })
    expect(all.get('c')).toMatchObject({ kind: 'hardlink', target: 'b' })
    put(all, 'b', file('two'), 'it')
    expect(all.get('c')).toMatchObject({ kind: 'file', bytes: Buffer.from('one') })
  })
})

describe('a tar that somebody made', () => {
  const good = writeUstar([oldDirectory('etc'), oldFile('etc/x', 'some text')])
  /** Another header's field, with a checksum that fits; with a size, without the content. */
  const altered = (at: number, value: string, size?: string): Buffer => {
    const archive = Buffer.from(good)
    const header = archive.subarray(512, 1024)
    if (size !== undefined) header.write(size, 124, 'latin1')
    header.fill(0, at, at + value.length)
    header.write(value, at, 'latin1')
    header.fill(' ', 148, 156)
    const sum = header.reduce((total, byte) => total + byte, 0)
    header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148)
    return size === undefined ? archive : Buffer.concat([archive.subarray(0, 1024), archive.subarray(1536)])
  }
  it.each([
    ['a name that leads out', altered(0, '../../x\0'), /leads out of it/],
    ['a size beyond its end', altered(124, '77777777777'), /ends inside one of its files/],
    ['a size that is no number', altered(124, 'many       '), /something else where a number/],
    ['a size below zero', altered(124, '\xff'.repeat(12)), /size below zero/],
    ['a type that nobody knows', altered(156, 'S'), /of a type that cannot be read/],
    [
      'a hard link to nothing',
      altered(156, '1nothing\0', '00000000000'),
      /another name of nothing, which is no file/,
    ],
    ['a hard link that leads out', altered(156, '1../x\0', '00000000000'), /leads out of it/],
    ['a hard link that has a size', altered(156, '1etc\0'), /a link or a directory in it has a size/],
    ['a name that is no UTF-8', altered(0, '\xff\xfe\0'), /not UTF-8/],
    ['a wrong checksum', Buffer.from(good).fill('y', 512, 513), /checksum/],
    ['an end in the middle', good.subarray(0, 700), /ends inside a header/],
    ['an end before the content', good.subarray(0, 1024), /ends inside one of its files/],
    ['nothing', Buffer.alloc(0), /it is empty/],
    ['words', Buffer.from('not a tar at all. '.repeat(60)), /number should be|checksum/],
  ])('with %s is refused', (_, archive, why) => {
    expect(() => readTar(archive, 'box.apkovl.tar.gz')).toThrow(why)
    expect(() => readTar(archive, 'box.apkovl.tar.gz')).toThrow(/^box\.apkovl\.tar\.gz /)
  })

  it('is never read wrongly where it is cut: an error, or what comes before', () => {
    const whole = [...readTar(good, 'it').keys()]
    for (let length = 1; length < good.length; length += 37) {
      try {
        const read = [...readTar(good.subarray(0, length), 'it').keys()]
        expect(whole.slice(0, read.length)).toEqual(read)
      } catch (error) {
        expect(String(error)).toMatch(/ends inside|is empty/)
      }
    }
  })
})
