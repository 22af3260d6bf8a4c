import { describe, expect, it } from 'vitest'
import { formatDependency, matches, parseDependencies, parseDependency } from '../../../src/apk/dependency.ts'

function satisfied(text: string, version: string | undefined, checksum = 'Q1aa='): boolean {
  const dependency = parseDependency(text)
  if (dependency === undefined) throw new Error(`${text} is refused`)
  return matches(dependency, version, checksum)
}

describe('parseDependency', () => {
  it('reads names of every kind', () => {
    expect(parseDependency('so:libc.musl-x86_64.so.1=1')).toMatchObject({
      name: 'so:libc.musl-x86_64.so.1',
      version: '1',
      conflict: false,
    })
    expect(parseDependency('!busybox<1.30')).toMatchObject({
      name: 'busybox',
      conflict: true,
      version: '1.30',
    })
    expect(parseDependency('chrony@edge~4')).toMatchObject({ name: 'chrony', tag: 'edge', version: '4' })
    expect(parseDependency('/bin/sh')).toMatchObject({ name: '/bin/sh', version: undefined })
  })

  it.each(['', '!', 'a=', 'a=xy', '=1', 'a>=1_foo', '@edge'])('refuses %j', (text) => {
    expect(parseDependency(text)).toBeUndefined()
  })

  it('is written back as apk writes it', () => {
    for (const text of ['a', '!a', 'a=1', '!a<2', 'a<=2', 'a>=2', 'a>2', 'a~3', 'a><Q1abc=']) {
      const dependency = parseDependency(text)
      expect(dependency && formatDependency(dependency)).toBe(text)
    }
    const tagged = parseDependency('a@edge=1')
    expect(tagged && formatDependency(tagged, 'tags')).toBe('a@edge=1')
    expect(tagged && formatDependency(tagged)).toBe('a=1')
    const wide = parseDependency('a~=1')
    expect(wide && formatDependency(wide)).toBe('a~1')
  })
})

describe('parseDependencies', () => {
  it('stops at what apk refuses and says it', () => {
    const { dependencies, invalid } = parseDependencies('a b=1\nc=! d')
    expect(dependencies.map((d) => d.name)).toEqual(['a', 'b'])
    expect(invalid).toBe('c=!')
  })
})

describe('matches', () => {
  it.each([
    ['a', '1', true],
    ['a', undefined, true],
    ['a=1', undefined, false],
    ['a=1.0-r1', '1.0-r1', true],
    ['a=1.0', '1.0-r1', false],
    ['a~1.0', '1.0-r1', true],
    ['a~1', '10', false],
    ['a>1', '1', false],
    ['a>=1', '1', true],
    ['a<2', '1.9_p1', true],
    ['a<=2', '2-r1', false],
    ['a>~1.2', '1.2.3', true],
  ] as const)('%s, provided as %s: %s', (text, version, expected) => {
    expect(satisfied(text, version)).toBe(expected)
  })

  it('compares checksums', () => {
    expect(satisfied('a><Q1aa=', '1')).toBe(true)
    expect(satisfied('a><Q1bb=', '1')).toBe(false)
  })
})
