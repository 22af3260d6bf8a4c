/** URLs: which source reads one, which host it names, how it is printed. */

import { expect, test } from 'vitest'
import { hostOf, redactUrl, resolveUrl, sourceOf, withoutUser } from '../../../src/network/url.ts'

const deadlines = { connectMs: 1, stallMs: 2, totalMs: 3 }

test.each([
  ['http://h/x', { kind: 'http', url: 'http://h/x', deadlines }],
  ['HTTPS://h/x', { kind: 'http', url: 'HTTPS://h/x', deadlines }],
  ['tftp://10.0.2.2/x', { kind: 'tftp', url: 'tftp://10.0.2.2/x', deadlines }],
  ['/media/sda1/a b', { kind: 'file', path: '/media/sda1/a b' }],
  ['file:///media/a%20b', { kind: 'file', path: '/media/a b' }],
  ['file:/media/x', { kind: 'file', path: '/media/x' }],
  ['file://localhost/x', { kind: 'file', path: '/x' }],
])('%s has its source', (url, source) => {
  expect(sourceOf(url, deadlines)).toEqual(source)
})

test.each([
  ['ftp://h/x', /ftp:\/\/ is refused/],
  ['nfs:10.0.0.1:/srv', /nfs: is not a scheme/],
  ['gopher://h', /gopher: is not a scheme/],
  ['http:///x', /names no server/],
  ['file://other/x', /not a file on this machine/],
  ['file:relative', /not a file on this machine/],
  ['file:///a%zz', /broken %-escape/],
  ['relative/x', /neither a URL nor an absolute path/],
  ['', /neither a URL nor an absolute path/],
])('%s is refused', (url, reason) => {
  expect(() => sourceOf(url, deadlines)).toThrow(reason)
})

test.each([
  ['http://h/x', 'http://h/x'],
  ['http://user@h/x', 'http://user@h/x'],
  ['http://user:pa:ss@h/x', 'http://user:***@h/x'],
  ['http://user:p@ss@h/x', 'http://user:***@h/x'],
  ['http://h/a?X-Amz-Signature=abc&part=1', 'http://h/a?X-Amz-Signature=***&part=1'],
  ['http://h/x:y@z', 'http://h/x:y@z'],
  ['/a/b', '/a/b'],
])('%s prints as %s', (url, shown) => {
  expect(redactUrl(url)).toBe(shown)
})

test.each([
  ['http://h:8080/x', 'h'],
  ['http://u:p@h/x', 'h'],
  ['http://[fd00::1]:80/x', 'fd00::1'],
  ['/x', undefined],
])('the host of %s', (url, host) => {
  expect(hostOf(url)).toBe(host)
})

test.each([
  ['http://h:8080/a/b.lock', 'apks', 'http://h:8080/a/apks'],
  ['http://h/a/b.lock?x=/y/z#w', '../apks', 'http://h/apks'],
  ['http://joe:pw@h/b.lock', './apks/v3', 'http://joe:pw@h/apks/v3'],
  ['http://h/a/b.lock', '../../../apks', 'http://h/apks'],
  ['http://h/a/b.lock', '/apks/', 'http://h/apks'],
  ['http://h', 'apks', 'http://h/apks'],
  ['tftp://10.0.0.1/a/b', 'apks', 'tftp://10.0.0.1/a/apks'],
  ['http://h/a/b.lock', 'https://other/apks', 'https://other/apks'],
  ['/media/sda1/a/b.lock', 'apks', '/media/sda1/a/apks'],
  ['/media/sda1/b.lock', '/srv/apks', '/srv/apks'],
])('beside %s, %s is %s', (base, reference, resolved) => {
  expect(resolveUrl(base, reference)).toBe(resolved)
})

test('a URL can be told without its user', () => {
  expect(withoutUser('http://joe:pw@h/a@b')).toBe('http://h/a@b')
  expect(withoutUser('/media/a@b')).toBe('/media/a@b')
})
