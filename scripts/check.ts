/**
 * What can be told about the code without running it. `npm run check`, and part of `npm test`.
 *
 *   node scripts/check.ts [NAME …]
 */

import { join } from 'node:path'
import { checkCrateAdvisories, checkNpmAdvisories, checkYankedCrates } from './check/advisories.ts'
import { checkLicences } from './check/licences.ts'
import type { Outcome } from './check/outcome.ts'
import { checkTraces } from './check/traces.ts'
import type { Counts } from './counts.ts'
import { projectRoot, run } from './processes.ts'

const crate = join(projectRoot, 'runtime')

/** Passes when the program ends with 0; else what it said. */
async function program(
  command: string,
  options: readonly string[],
  directory = projectRoot,
): Promise<Outcome> {
  const { status, output, errors } = await run(command, options, { directory })
  return status === 0 ? { passed: '' } : { failed: `${output}${errors}`.trimEnd().split('\n') }
}

const clippy = (...targets: readonly string[]) =>
  program('cargo', ['clippy', '--locked', '--quiet', ...targets, '--', '-D', 'warnings'], crate)

const tool = (name: string) => join(projectRoot, 'node_modules/.bin', name)

const checks: Readonly<Record<string, () => Promise<Outcome>>> = {
  types: () => program(tool('tsc'), ['--noEmit']),
  biome: () => program(tool('biome'), ['check', '--error-on-warnings', '--colors=off']),
  rustfmt: () => program('cargo', ['fmt', '--all', '--check'], crate),
  clippy: () => clippy('--all-targets'),
  // Not with the host, whose features would be its own.
  'clippy-keeper': () => clippy('--package', 'diskless-lease', '--all-targets'),
  docs: () => program(process.execPath, ['scripts/docs.ts', '--check']),
  licences: checkLicences,
  'npm-advisories': checkNpmAdvisories,
  'crate-advisories': checkCrateAdvisories,
  'yanked-crates': checkYankedCrates,
  traces: checkTraces,
}

/** Runs the checks side by side and prints each as its turn comes. */
export async function runChecks(names: readonly string[] = Object.keys(checks)): Promise<Counts> {
  const counts = { passed: 0, failed: 0, skipped: 0 }
  const running = names.map((name) => {
    const check = checks[name]
    if (check === undefined) throw new Error(`no check '${name}': ${Object.keys(checks).join(', ')}`)
    const crashed = (error: unknown): Outcome => ({
      failed: [error instanceof Error ? error.message : String(error)],
    })
    return { name, outcome: check().catch(crashed) }
  })
  for (const { name, outcome } of running) {
    const ended = await outcome
    if ('failed' in ended) {
      counts.failed += 1
      console.log(`✗ ${name}\n${ended.failed.map((line) => `    ${line}`).join('\n')}`)
    } else if ('skipped' in ended) {
      counts.skipped += 1
      console.log(`- ${name}: skipped, ${ended.skipped}`)
    } else {
      counts.passed += 1
      console.log(`✓ ${name}${ended.passed === '' ? '' : `: ${ended.passed}`}`)
    }
  }
  return counts
}

if (import.meta.main) {
  const names = process.argv.slice(2)
  const { failed } = await runChecks(names.length > 0 ? names : undefined)
  process.exitCode = failed > 0 ? 1 : 0
}
