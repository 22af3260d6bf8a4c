import { describe, expect, it } from 'vitest'
import { closest } from '../../../src/boot/closest.ts'

describe('did you mean', () => {
  const names = ['apkovl', 'alpine_repo', 'modules', 'ip', 'quiet']
  it.each([
    ['apkvol', 'apkovl'],
    ['apkov1', 'apkovl'],
    ['alpine-repo', 'alpine_repo'],
    ['module', 'modules'],
    ['Quite', 'quiet'],
  ])('%s → %s', (typed, meant) => expect(closest(typed, names)).toBe(meant))
  it('offers nothing for what is merely short or different', () => {
    expect(closest('nomodeset', names)).toBeUndefined()
    expect(closest('ro', ['ip', 'single'])).toBeUndefined()
  })
})
