/** Licence expressions: what is accepted must be a deliberate choice. */

import { expect, test } from 'vitest'
import { accepts } from '../../../scripts/check/licences.ts'

test.each([
  ['MIT', true],
  ['MIT/Apache-2.0', true],
  ['GPL-3.0-only OR MIT', true],
  ['GPL-3.0-only AND MIT', false],
  ['(MIT OR GPL-3.0-only) AND Apache-2.0', true],
  ['(MIT AND GPL-3.0-only) OR Proprietary', false],
  ['Apache-2.0 WITH LLVM-exception OR Apache-2.0', true],
  ['', false],
  ['MIT)', false],
])('%s', (expression, expected) => {
  expect(accepts(expression, 'some-package')).toBe(expected)
})

test('an exception is for its package only', () => {
  expect(accepts('GPL-2.0', 'busybox-static')).toBe(true)
  expect(accepts('GPL-2.0', 'some-package')).toBe(false)
})
