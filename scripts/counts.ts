/** How many tests passed, read from what each kind's own runner reports. */

export interface Counts {
  readonly passed: number
  readonly failed: number
  readonly skipped: number
}

export function sum(all: readonly Counts[]): Counts {
  const total = { passed: 0, failed: 0, skipped: 0 }
  for (const { passed, failed, skipped } of all) {
    total.passed += passed
    total.failed += failed
    total.skipped += skipped
  }
  return total
}

/** The line that `npm test` ends with. */
export function inWords({ passed, failed, skipped }: Counts): string {
  return `${passed} passed, ${failed} failed, ${skipped} skipped`
}

/** A runner that failed without a failed test (nothing compiled, an error outside of any test) counts as one. */
function withStatus(counts: Counts, status: number): Counts {
  return status !== 0 && counts.failed === 0 ? { ...counts, failed: 1 } : counts
}

/** vitest's JSON report. A file that could not even be loaded counts as one failure. */
export function countVitest(json: string, status: number): Counts {
  const report: {
    numPassedTests: number
    numFailedTests: number
    numPendingTests: number
    numTodoTests: number
    testResults: { status: string; assertionResults: unknown[] }[]
  } = JSON.parse(json)
  const unloaded = report.testResults.filter(
    (file) => file.status === 'failed' && file.assertionResults.length === 0,
  )
  const counts = {
    passed: report.numPassedTests,
    failed: report.numFailedTests + unloaded.length,
    skipped: report.numPendingTests + report.numTodoTests,
  }
  return withStatus(counts, status)
}

/** What skipped tests needed: told in a name, as in `describe.skip('… (needs root)')`. With how many there were of each. */
export function needsInVitest(json: string): ReadonlyMap<string, number> {
  const report: {
    testResults: { assertionResults: { status: string; ancestorTitles: string[]; title: string }[] }[]
  } = JSON.parse(json)
  const needs = new Map<string, number>()
  for (const { ancestorTitles, status, title } of report.testResults.flatMap(
    (file) => file.assertionResults,
  )) {
    const needed = [...ancestorTitles, title].map((name) => /\(needs (.+)\)$/.exec(name)?.[1]).find(Boolean)
    if (needed === undefined || status === 'passed' || status === 'failed') continue
    needs.set(needed, (needs.get(needed) ?? 0) + 1)
  }
  return needs
}

/** The `test result:` lines of libtest, one for each binary. */
export function countLibtest(output: string, status: number): Counts {
  const lines = output.matchAll(/^test result: .* (\d+) passed; (\d+) failed; (\d+) ignored/gm)
  const each = [...lines].map(([, passed, failed, ignored]) => ({
    passed: Number(passed),
    failed: Number(failed),
    skipped: Number(ignored),
  }))
  return withStatus(sum(each), status)
}
