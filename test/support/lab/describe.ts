/** Tests that need the lab: skipped where it cannot be, with the reason in the name (scripts/test.ts prints it). */

import { describe } from 'vitest'
import { labIsPossible } from './possible.ts'

export function describeInLab(name: string, tests: () => void): void {
  const possible = labIsPossible()
  if (possible.ok) describe(name, tests)
  else describe.skip(`${name} (needs ${possible.why})`, tests)
}
