import { expect, test } from 'vitest'
import { findRot } from '../../../scripts/pains.ts'

const files: Readonly<Record<string, string>> = {
  'test/a.test.ts': "test('one thing (x#1)', () => {})",
  'src/b.rs': '#[test]\nfn another_thing() {}',
}
const rot = (tests: string) =>
  findRot(`| pain | test |\n|---|---|\n| 1 it | ${tests} | x |`, (path) => files[path])
const one = '[a](../test/a.test.ts) › one thing (x#1)'

test('tests that exist', () => {
  expect(rot(`${one}<br>[b](../src/b.rs) › another_thing`)).toEqual([])
})

test.each([
  [`${one}, more`, '1 it: test/a.test.ts has no test “one thing (x#1), more”'],
  ['[a](../test/a.test.ts) › one thing', '1 it: test/a.test.ts has no test “one thing”'],
  ['[c](../test/c.test.ts) › one', '1 it: there is no test/c.test.ts'],
  [`${one}<br>[b](../src/b.rs) › another`, '1 it: src/b.rs has no test “another”'],
  ['the usual ones', '1 it: names no test: the usual ones'],
])('%s', (tests, told) => {
  expect(rot(tests)).toEqual([told])
})

test('a document without a table', () => {
  expect(findRot('# Pains', () => '')).toEqual(['docs/pains.md has no rows'])
})
