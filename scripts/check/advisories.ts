/** Known holes and withdrawn versions in what we depend on, as far as the registries tell. */

import { join } from 'node:path'
import { projectRoot, run } from '../processes.ts'
import type { Outcome } from './outcome.ts'

interface Audit {
  /** Why there is no answer. */
  readonly message?: string
  readonly error?: { readonly summary?: string }
  readonly vulnerabilities?: Readonly<Record<string, { readonly severity: string; readonly range: string }>>
}

/** `npm audit`. Severities `high` and `critical` fail; lesser ones are told. */
export async function checkNpmAdvisories(): Promise<Outcome> {
  const { output } = await run('npm', ['audit', '--json', '--audit-level', 'high'])
  let audit: Audit
  try {
    audit = JSON.parse(output)
  } catch {
    return { skipped: 'npm audit gave no answer' }
  }
  if (audit.vulnerabilities === undefined) {
    return {
      skipped: `the registry tells no advisories: ${audit.error?.summary || (audit.message ?? 'no reason given')}`,
    }
  }
  const found = Object.entries(audit.vulnerabilities)
  const told = found.map(([name, { severity, range }]) => `${name} ${range}: ${severity}`)
  if (found.some(([, { severity }]) => severity === 'high' || severity === 'critical'))
    return { failed: told }
  return { passed: told.length === 0 ? 'none known' : told.join('; ') }
}

/** RustSec's database, by cargo-audit where that is installed. It is no part of a registry. */
export async function checkCrateAdvisories(): Promise<Outcome> {
  const directory = join(projectRoot, 'runtime')
  const { status, output, errors } = await run('cargo', ['audit', '--quiet'], { directory })
  if (status === 0) return { passed: 'none known' }
  if (/no such command/.test(errors))
    return { skipped: 'cargo-audit is not installed (cargo install cargo-audit)' }
  if (/couldn't fetch|failed to (fetch|clone|prepare)/.test(errors)) {
    return { skipped: 'the RustSec database is out of reach' }
  }
  return { failed: `${output}${errors}`.trimEnd().split('\n') }
}

/** Packing is when cargo looks whether the index has withdrawn a version that Cargo.lock names. */
export async function checkYankedCrates(): Promise<Outcome> {
  const directory = join(projectRoot, 'runtime')
  const options = ['package', '--no-verify', '--allow-dirty', '--locked', '--target-dir', 'target/check']
  const { status, errors } = await run('cargo', options, { directory })
  const yanked = errors.split('\n').filter((line) => line.includes('yanked'))
  if (yanked.length > 0) return { failed: yanked }
  if (status === 0) return { passed: 'none' }
  if (/spurious network error|failed to (download|fetch|query)|Could not resolve/i.test(errors)) {
    return { skipped: 'the crates index is out of reach' }
  }
  return { failed: errors.trimEnd().split('\n') }
}
