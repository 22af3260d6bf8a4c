import { createHash } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { cachedIndex, cachedName } from '../../../src/apk/cache.ts'
import { formatDependency, parseDependencies } from '../../../src/apk/dependency.ts'
import { indexUrl, packageUrl, parseRepositories } from '../../../src/apk/repositories.ts'
import { sha1 } from '../../../src/apk/sha1.ts'
import { field, installedStanza, numberField } from '../../../src/apk/stanza.ts'
import { formatWorld, makeWorld, worldWords } from '../../../src/apk/world.ts'

const STANZA = `C:Q1cUmTKIoavaW0tKIKqQg7wnX2sL0=
P:demo
V:1.2-r0
A:x86_64
S:1234
I:8192
T:
U:https://example.org
L:MIT
o:demo-source
m:Somebody <somebody@example.org>
t:1700000000
c:0123456789abcdef
k:10
D:musl so:libz.so.1 foo~=1.2 !bar
p:cmd:demo=1.2-r0
i:openrc demo-base=1.2-r0`

describe('field', () => {
  it('finds a letter at the start of a line only', () => {
    expect(field(STANZA, 'C')).toBe('Q1cUmTKIoavaW0tKIKqQg7wnX2sL0=')
    expect(field(STANZA, 'i')).toBe('openrc demo-base=1.2-r0')
    expect(field('P:T:x\nV:1', 'T')).toBeUndefined()
  })
  it('knows an empty field, an absent one and a number', () => {
    expect(field(STANZA, 'T')).toBeUndefined()
    expect(field(STANZA, 'q')).toBeUndefined()
    expect(numberField(STANZA, 'I')).toBe(8192)
    expect(numberField(STANZA, 'q')).toBe(0)
  })
})

describe('installedStanza', () => {
  it("writes apk's lines in apk's order, with what only the package knows", () => {
    const lines = installedStanza(STANZA, {
      replaces: 'old-demo<1.2 other',
      replacesPriority: 5,
      tag: 'edge',
    })
    expect(lines).toBe(`${STANZA.replace('foo~=1.2', 'foo~1.2')}\nr:old-demo<1.2 other\nq:5\ns:edge\n`)
  })
  it('leaves out what is zero or absent, but for the fields that apk always writes', () => {
    const lines = installedStanza('C:Q1a=\nP:a\nV:1', {
      replaces: undefined,
      replacesPriority: 0,
      tag: undefined,
    })
    expect(lines).toBe('C:Q1a=\nP:a\nV:1\nS:0\nI:0\nT:\nU:\nL:\n')
  })
})

describe('dependencies in installedStanza', () => {
  const line = (depends: string) => {
    const extras = { replaces: undefined, replacesPriority: 0, tag: undefined }
    const lines = installedStanza(`C:Q1a=\nP:a\nV:1\nD:${depends}\n`, extras).split('\n')
    return lines.find((each) => each.startsWith('D:'))?.slice(2)
  }
  const throughParser = (depends: string) =>
    parseDependencies(depends)
      .dependencies.map((dependency) => formatDependency(dependency))
      .join(' ')

  it.each([
    'so:libc.musl-x86_64.so.1 cmd:busybox=1.36.1-r15 !vlan a>=1.2_git20230717-r4 b<2a c>1 d<=1_p1',
    'a=~1.2 b~1 c@edge>1 d',
    'a  b ',
    'a b=x c',
    'a=1.2_foo b',
    'a=1_rc_git2-r1',
    'a=1234567890123456 b',
    'a=1.2- b',
    'a=1.2ab',
    'a><Q1abcdefghijklmnopqrstuvwxyz0=',
    '!a=1 !b',
    'a== b',
    'a=1~0123456789abcdef-r1',
  ])('writes %j as the parser reads it', (depends) => {
    expect(line(depends) ?? '').toBe(throughParser(depends))
  })
})

describe('world', () => {
  it('keeps one entry a name, the last, in the order of apk', () => {
    const world = makeWorld(worldWords('openssh\nalpine-base\n busybox=1\nZlib chrony@edge busybox=2 !foo\n'))
    expect(formatWorld(world)).toBe('alpine-base\nbusybox=2\nchrony@edge\n!foo\nopenssh\nZlib\n')
  })
  it('sets aside what is no dependency', () => {
    expect(makeWorld(['a', 'b=1-oops', 'c']).invalid).toEqual(['b=1-oops'])
  })
})

describe('repositories', () => {
  it('reads tags, comments, architectures and indexes', () => {
    const text = `# a comment
https://mirror.example/alpine/v3.19/main/
@edge https://mirror.example/alpine/edge/main
/media/usb/apks/x86_64
http://mirror.example/local/x86_64/APKINDEX.tar.gz

https://mirror.example/alpine/v3.19/main
`
    expect(parseRepositories(text, 'x86_64')).toEqual([
      { url: 'https://mirror.example/alpine/v3.19/main', mirrors: [], tag: undefined },
      { url: 'https://mirror.example/alpine/edge/main', mirrors: [], tag: 'edge' },
      { url: '/media/usb/apks', mirrors: [], tag: undefined },
      { url: 'http://mirror.example/local', mirrors: [], tag: undefined },
    ])
  })
  it('reads mirrors of the same one, each with or without the architecture', () => {
    const line = 'http://a.example/main/|https://b.example/x86_64|http://c.example/main'
    expect(parseRepositories(line, 'x86_64')).toEqual([
      {
        url: 'http://a.example/main',
        mirrors: ['https://b.example', 'http://c.example/main'],
        tag: undefined,
      },
    ])
    expect(parseRepositories('/media/a|b', 'x86_64')).toEqual([
      { url: '/media/a|b', mirrors: [], tag: undefined },
    ])
  })
  it('makes the URLs that apk asks for', () => {
    expect(indexUrl('https://m.example/main', 'aarch64')).toBe(
      'https://m.example/main/aarch64/APKINDEX.tar.gz',
    )
    expect(packageUrl('/media/usb/apks', 'x86_64', 'musl', '1-r0')).toBe(
      '/media/usb/apks/x86_64/musl-1-r0.apk',
    )
  })
})

describe('names in the package cache', () => {
  const cache = { directory: '/c', files: new Set(['APKINDEX.b0359280.tar.gz']), installed: [] }
  it('have the first bytes of the checksum, or of the SHA-1 of the repository’s URL', () => {
    expect(cachedName(STANZA)).toBe('demo-1.2-r0.71499328.apk')
    // What apk-tools’ source says of the word.
    expect(sha1('cache')).toBe('b03592806efabfeeb709f5a70a7c172669b00538')
    expect(cachedIndex(cache, 'cache')).toBe('/c/APKINDEX.b0359280.tar.gz')
    expect(cachedIndex(cache, 'http://example.org/main')).toBeUndefined()
  })
  it('are of whole stanzas only', () => {
    expect(cachedName('P:demo\nV:1')).toBeUndefined()
    expect(cachedName('P:demo\nV:1\nC:Q1%%%%%%')).toBeUndefined()
  })
  it.each([0, 1, 55, 56, 63, 64, 65, 1000])('sha1 of %i characters is the one of node:crypto', (length) => {
    const text = 'é/abc'.repeat(length).slice(0, length)
    expect(sha1(text)).toBe(createHash('sha1').update(text).digest('hex'))
  })
})
