import { execFileSync } from 'node:child_process'
import { describe, expect, it } from 'vitest'
import {
  directory,
  type Entry,
  file,
  readTar,
  symlink,
  withParents,
  writeTar,
} from '../../../scripts/repository/tar.ts'

const long = `${'very-long-directory-name/'.repeat(8)}file`
const entries: readonly Entry[] = [
  directory('a', 0o1777),
  file('a/b', 'content\n', 0o4755),
  symlink('a/link', `../${'x'.repeat(120)}`),
  file(long, 'deep'),
]

function listed(archive: Buffer): string {
  return execFileSync('tar', ['--numeric-owner', '-tvf', '-'], { input: archive, encoding: 'utf8' })
}

describe('a tar archive', () => {
  it('is read back as it was written, long names included', () => {
    const read = readTar(writeTar(entries))
    const essence = ({ kind, path, mode, content, target }: Entry) => ({
      kind,
      path,
      mode,
      content: content.toString(),
      target,
    })
    expect(read.map(essence)).toEqual(entries.map(essence))
  })

  it('is one to the system’s tar too', () => {
    const lines = listed(writeTar(entries))
    expect(lines).toMatch(/^drwxrwxrwt 0\/0 .* a\/$/m)
    expect(lines).toMatch(/^-rwsr-xr-x 0\/0 .* a\/b$/m)
    expect(lines).toContain(long)
  })

  it('can be cut, so that another goes on from there', () => {
    const both = Buffer.concat([writeTar([file('one', '1')], { cut: true }), writeTar([file('two', '2')])])
    expect(readTar(both).map(({ path }) => path)).toEqual(['one', 'two'])
  })

  it('is refused when it ends inside a file', () => {
    const whole = writeTar([file('one', 'x'.repeat(2000))])
    expect(() => readTar(whole.subarray(0, 1024))).toThrow(/ends inside/)
  })
})

describe('withParents', () => {
  it('adds the directories that lead to an entry, each before what is in it', () => {
    expect(withParents([file('a/b/c', ''), file('a/d', '')]).map(({ path }) => path)).toEqual([
      'a',
      'a/b',
      'a/b/c',
      'a/d',
    ])
  })

  it('puts a hard link after the file that it is another name of', () => {
    const link: Entry = { ...file('bin/a', ''), kind: 'hardlink', target: 'bin/z' }
    expect(withParents([link, file('bin/z', 'x')]).map(({ path }) => path)).toEqual(['bin', 'bin/z', 'bin/a'])
  })
})
