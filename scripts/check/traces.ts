/** Tracked files must not tell where they were written: no path of the author's machine, no registry's address. */

import { run } from '../processes.ts'
import type { Outcome } from './outcome.ts'

/** Written in pieces, or this file would be the first to be found. */
const traces = [
  ['(^|[^a-z0-9_./-])/work/', '(main|shared|wt|brief)'],
  ['registry[.]', '(npmjs|yarnpkg)'],
  ['(static|index)[.]', 'crates[.]io'],
  ['(deb|security|archive)[.]', '(debian|ubuntu)[.](org|com)'],
  ['proxy[.]', 'golang[.]org'],
].map((parts) => parts.join(''))

export async function checkTraces(): Promise<Outcome> {
  const patterns = traces.flatMap((trace) => ['-e', trace])
  const { status, output, errors } = await run('git', ['grep', '-nIE', ...patterns])
  // git grep: 0 found something, 1 nothing, more is an error.
  if (status === 1) return { passed: 'no traces of a machine or a registry' }
  if (status === 0) return { failed: output.trimEnd().split('\n') }
  if (/not a git repository/.test(errors)) return { skipped: 'not a git checkout' }
  return { failed: errors.trimEnd().split('\n') }
}
