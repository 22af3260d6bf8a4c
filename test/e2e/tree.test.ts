/** The demo's repository installed by us and by apko, natively: the same trees, the same databases. */

import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'

const script = fileURLToPath(new URL('../../scripts/conformance-tree.ts', import.meta.url))
const go = { cwd: fileURLToPath(new URL('../conformance/', import.meta.url)), encoding: 'utf8' } as const
const hasGo = spawnSync('go', ['version']).status === 0
/** apko's are fetched once. What does not compile is no reason to skip. */
const hasModules = hasGo && spawnSync('go', ['list', '-mod=readonly', '-deps', './tree'], go).status === 0
const isRoot = process.getuid?.() === 0
const needed = [
  ...(isRoot ? [] : ['root']),
  ...(hasGo ? [] : ['Go']),
  ...(hasGo && !hasModules ? ['a proxy of Go’s modules'] : []),
].join(' and ')
const name = 'the demo is installed as apko installs it'

it.skipIf(needed !== '')(needed === '' ? name : `${name} (needs ${needed})`, () => {
  const { ALPINE_MEDIA: _, ...environment } = process.env
  const options = { env: environment, encoding: 'utf8' } as const
  const { status, stdout, stderr } = spawnSync(process.execPath, [script, '--release'], options)
  expect(`${stdout}${status === 0 ? '' : stderr}`).toMatch(
    /^the demo: 6\d packages, \d{4} paths, 0 differences\n( {2}\d+ times .*\n)+no difference\n$/,
  )
  expect(status).toBe(0)
})
