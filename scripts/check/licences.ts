/** The licences of everything that is installed or linked in, against those that we accept. */

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { projectRoot, run } from '../processes.ts'
import type { Outcome } from './outcome.ts'

const accepted = new Set([
  ...['MIT', 'MIT-0', 'ISC', '0BSD', 'BSD-2-Clause', 'BSD-3-Clause', 'Apache-2.0', 'Zlib', 'Unlicense'],
  ...['CC0-1.0', 'BlueOak-1.0.0', 'Unicode-3.0', 'Apache-2.0 WITH LLVM-exception', 'Python-2.0'],
  // The Mozilla root certificates are data under it.
  'CDLA-Permissive-2.0',
])

/** Accepted for one package only, with the reason. */
const exceptions: Readonly<Record<string, readonly string[]>> = {
  // A program of its own in the initrd; nothing of ours is linked with it.
  'GPL-2.0': ['busybox-static'],
  // Development only: vite's CSS compiler, which no test uses.
  'MPL-2.0': ['lightningcss', 'lightningcss-*'],
}

interface Licensed {
  readonly name: string
  readonly licence: string | undefined
}

/** An SPDX expression, or cargo's old `MIT/Apache-2.0`: is it accepted? */
export function accepts(expression: string, name: string): boolean {
  const words =
    expression.replaceAll('/', ' OR ').match(/\(|\)|\bOR\b|\bAND\b|[^\s()]+(?:\s+WITH\s+[^\s()]+)?/g) ?? []
  const one = (): boolean => {
    const word = words.shift()
    if (word !== '(') return word !== undefined && (accepted.has(word) || isException(word, name))
    const inner = any()
    return words.shift() === ')' && inner
  }
  const all = (): boolean => {
    let result = one()
    while (words[0] === 'AND') {
      words.shift()
      result = one() && result
    }
    return result
  }
  const any = (): boolean => {
    let result = all()
    while (words[0] === 'OR') {
      words.shift()
      result = all() || result
    }
    return result
  }
  return any() && words.length === 0
}

function isException(licence: string, name: string): boolean {
  const names = exceptions[licence] ?? []
  return names.some((each) => (each.endsWith('*') ? name.startsWith(each.slice(0, -1)) : name === each))
}

export async function checkLicences(): Promise<Outcome> {
  const all = [...npmPackages(), ...(await crates())]
  const refused = all.filter(({ name, licence }) => licence === undefined || !accepts(licence, name))
  if (refused.length > 0) {
    return {
      failed: refused.map(({ name, licence }) => `${name}: ${licence ?? 'no licence'} is not accepted`),
    }
  }
  return { passed: `${all.length} packages` }
}

function npmPackages(): Licensed[] {
  const lock: { packages: Record<string, { readonly license?: string; readonly link?: boolean }> } =
    JSON.parse(readFileSync(join(projectRoot, 'package-lock.json'), 'utf8'))
  return (
    Object.entries(lock.packages)
      // What is not below node_modules is ours, and so is what a link there leads to.
      .filter(([path, { link }]) => path.includes('node_modules/') && link !== true)
      .map(([path, { license }]) => ({ name: path.replace(/^.*node_modules\//, ''), licence: license }))
  )
}

async function crates(): Promise<Licensed[]> {
  const platform = ['--filter-platform', 'x86_64-unknown-linux-gnu']
  const { status, output, errors } = await run(
    'cargo',
    ['metadata', '--locked', '--quiet', '--format-version', '1', ...platform],
    { directory: join(projectRoot, 'runtime') },
  )
  if (status !== 0) throw new Error(errors)
  const metadata: { packages: { name: string; license: string | null }[] } = JSON.parse(output)
  return metadata.packages.map(({ name, license }) => ({ name, licence: license ?? undefined }))
}
