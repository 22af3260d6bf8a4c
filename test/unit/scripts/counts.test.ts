/** The last line of `npm test` tells the truth, above all when something went wrong outside of a test. */

import { describe, expect, test } from 'vitest'
import { countLibtest, countVitest, inWords, needsInVitest, sum } from '../../../scripts/counts.ts'

const report = (numbers: object, testResults: readonly object[] = []) =>
  JSON.stringify({
    ...{ numPassedTests: 0, numFailedTests: 0, numPendingTests: 0, numTodoTests: 0, testResults },
    ...numbers,
  })

describe('vitest', () => {
  test('skipped tests and those still to be written are skipped', () => {
    const json = report({ numPassedTests: 5, numPendingTests: 2, numTodoTests: 1 })
    expect(countVitest(json, 0)).toEqual({ passed: 5, failed: 0, skipped: 3 })
  })
  test('a file that cannot be loaded is a failure', () => {
    const broken = { status: 'failed', assertionResults: [] }
    expect(countVitest(report({ numPassedTests: 5 }, [broken]), 1)).toMatchObject({ passed: 5, failed: 1 })
  })
  test('so is an error outside of any test', () => {
    expect(countVitest(report({ numPassedTests: 5 }), 1)).toMatchObject({ failed: 1 })
  })
})

test('what skipped tests need is told by names, of those that were skipped', () => {
  const result = (status: string, ancestor: string, title = 'a test') => ({
    ...{ status, title, ancestorTitles: [ancestor] },
  })
  const json = report({}, [
    { assertionResults: [result('skipped', 'lab (needs root)'), result('pending', 'b', 'c (needs root)')] },
    { assertionResults: [result('skipped', 'left out by -t'), result('passed', 'd (needs a (real) disk)')] },
    { assertionResults: [result('skipped', 'd (needs a (real) disk)')] },
  ])
  expect([...needsInVitest(json)]).toEqual([
    ['root', 2],
    ['a (real) disk', 1],
  ])
})

describe('libtest', () => {
  const output = [
    'test result: ok. 7 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.1s',
    'test result: FAILED. 2 passed; 3 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.1s',
  ].join('\n')
  test('every binary counts', () => {
    expect(countLibtest(output, 101)).toEqual({ passed: 9, failed: 3, skipped: 1 })
  })
  test('a crate that does not build is a failure', () => {
    expect(countLibtest('error[E0308]: mismatched types', 101)).toEqual({ passed: 0, failed: 1, skipped: 0 })
  })
})

test('the line', () => {
  const counts = { passed: 3, failed: 1, skipped: 2 }
  expect(inWords(sum([counts, counts]))).toBe('6 passed, 2 failed, 4 skipped')
})
