/**
 * Every kind of test, one after the other, and one line of counts over all of them at the end.
 *
 *   node scripts/test.ts [KIND …] [-- ARGUMENTS of the kind's own runner]
 */

import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Counts, runChecks } from './check.ts'
import { projectRoot, run } from './processes.ts'

type Kind = (options: readonly string[]) => Promise<Counts>

const kinds = {
  check: () => runChecks(),
  unit: (options) => vitest('unit', options),
  engine: (options) => vitest('engine', options),
  runtime: cargoTest,
  e2e: (options) => vitest('e2e', options),
  /** Every guest, long watches included. */
  'e2e-all': (options) => vitest('e2e', options, { DISKLESS_E2E: 'all' }),
} satisfies Record<string, Kind>

type Name = keyof typeof kinds

function isKind(word: string): word is Name {
  return Object.hasOwn(kinds, word)
}

/** The numbers come from vitest's own JSON report; a file that cannot even be loaded counts as one failure. */
async function vitest(project: string, options: readonly string[], environment: Record<string, string> = {}) {
  const directory = mkdtempSync(join(tmpdir(), 'diskless-test-'))
  const report = join(directory, 'report.json')
  try {
    const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${report}`]
    const command = ['node_modules/vitest/vitest.mjs', 'run', '--project', project, '--passWithNoTests']
    const ended = await run(process.execPath, [...command, ...reporters, ...options], {
      show: true,
      environment,
    })
    return countVitest(readFileSync(report, 'utf8'), ended.status)
  } finally {
    rmSync(directory, { recursive: true })
  }
}

function countVitest(json: string, status: number): Counts {
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
  const failed = report.numFailedTests + unloaded.length
  return {
    passed: report.numPassedTests,
    failed: status !== 0 && failed === 0 ? 1 : failed,
    skipped: report.numPendingTests + report.numTodoTests,
  }
}

/** Adds up libtest's `test result:` lines; a crate that does not build counts as one failure. */
async function cargoTest(options: readonly string[]): Promise<Counts> {
  const { status, output } = await run('cargo', ['test', '--locked', '--no-fail-fast', ...options], {
    directory: join(projectRoot, 'runtime'),
    show: true,
  })
  const counts = { passed: 0, failed: 0, skipped: 0 }
  for (const [, passed, failed, ignored] of output.matchAll(
    /^test result: .* (\d+) passed; (\d+) failed; (\d+) ignored/gm,
  )) {
    counts.passed += Number(passed)
    counts.failed += Number(failed)
    counts.skipped += Number(ignored)
  }
  if (status !== 0 && counts.failed === 0) counts.failed = 1
  return counts
}

async function runKind(name: Name, options: readonly string[]): Promise<Counts> {
  console.log(`\n── ${name} ──`)
  const started = performance.now()
  let counts: Counts
  try {
    counts = await kinds[name](options)
  } catch (error) {
    console.error(`${name} could not be run:`, error)
    counts = { passed: 0, failed: 1, skipped: 0 }
  }
  const seconds = ((performance.now() - started) / 1000).toFixed(1)
  console.log(`── ${name}: ${line(counts)} in ${seconds} s`)
  return counts
}

function line({ passed, failed, skipped }: Counts): string {
  return `${passed} passed, ${failed} failed, ${skipped} skipped`
}

const words = process.argv.slice(2)
const chosen = words.filter(isKind)
const options = words.filter((word) => !isKind(word) && word !== '--')
const total = { passed: 0, failed: 0, skipped: 0 }
for (const name of chosen.length > 0 ? chosen : (['check', 'unit', 'engine', 'runtime', 'e2e'] as const)) {
  const { passed, failed, skipped } = await runKind(name, options)
  total.passed += passed
  total.failed += failed
  total.skipped += skipped
}
console.log(`\n${line(total)}`)
process.exitCode = total.failed > 0 ? 1 : 0
