/**
 * Every kind of test, one after the other, and one line of counts over all of them at the end.
 *
 *   node scripts/test.ts [KIND …] [-- ARGUMENTS of the kind's own runner]
 */

import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { runChecks } from './check.ts'
import { type Counts, countLibtest, countVitest, inWords, needsInVitest, sum } from './counts.ts'
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

/** Why tests were skipped, where they say so. */
const skipped: string[] = []

async function vitest(project: string, options: readonly string[], environment: Record<string, string> = {}) {
  const directory = mkdtempSync(join(tmpdir(), 'diskless-test-'))
  const report = join(directory, 'report.json')
  try {
    const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${report}`]
    const command = ['node_modules/vitest/vitest.mjs', 'run', '--project', project, '--passWithNoTests']
    const ended = await run(process.execPath, [...command, ...reporters, ...options], {
      show: true,
      environment: process.stdout.isTTY ? { FORCE_COLOR: '1', ...environment } : environment,
    })
    const json = readFileSync(report, 'utf8')
    for (const [needed, count] of needsInVitest(json)) skipped.push(`${count} skipped: needs ${needed}`)
    return countVitest(json, ended.status)
  } finally {
    rmSync(directory, { recursive: true })
  }
}

async function cargoTest(options: readonly string[]): Promise<Counts> {
  const counts: Counts[] = []
  // The lease keeper by itself: the host's features are not its own.
  for (const which of [[], ['--package', 'diskless-lease', '--lib']]) {
    const words = ['test', '--locked', '--no-fail-fast', ...which, ...options]
    const { status, output } = await run('cargo', words, {
      directory: join(projectRoot, 'runtime'),
      show: true,
    })
    counts.push(countLibtest(output, status))
  }
  return sum(counts)
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
  console.log(`── ${name}: ${inWords(counts)} in ${seconds} s`)
  return counts
}

const words = process.argv.slice(2)
const chosen = words.filter(isKind)
const options = words.filter((word) => !isKind(word) && word !== '--')
const counts: Counts[] = []
for (const name of chosen.length > 0 ? chosen : (['check', 'unit', 'engine', 'runtime', 'e2e'] as const)) {
  counts.push(await runKind(name, options))
}
const total = sum(counts)
console.log()
for (const line of skipped) console.log(line)
console.log(inWords(total))
process.exitCode = total.failed > 0 ? 1 : 0
