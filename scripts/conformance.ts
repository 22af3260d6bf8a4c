/**
 * `npm run conformance`: do we choose as apk does? Draws worlds from a printed seed and compares what is chosen for them.
 * With Go, against apko's resolver on the signed indexes of Alpine in its test data; with a real apk against that one, and
 * the order of versions as well. Needs no root, and installs nothing.
 *
 *   [APK=PROGRAM] [APK_TESTS=DIRECTORY] npm run conformance -- [--seed N] [--worlds 500] [--apk-worlds 200]
 *                                                              [--small 300] [--versions 3000]
 *                                                              [--index [TAG@]FILE]… [--keys DIRECTORY]
 *
 * APK names apk itself, 2.14; APK_TESTS the tests of its source. Where apko and we differ, apk decides. `--index` is an
 * APKINDEX.tar.gz, the most preferred first: the repositories for apk's worlds, if not apko's test data.
 */

import { parseArgs } from 'node:util'
import { randomNumbers } from '../test/support/random.ts'
import { buildApko, compareWithApko, indexesOfApko } from './conformance/apko.ts'
import { runCases } from './conformance/cases.ts'
import { Findings } from './conformance/findings.ts'
import { RealApk } from './conformance/real-apk.ts'
import { type Repository, readRepository } from './conformance/repository.ts'
import { compareSmall } from './conformance/small.ts'
import { comparePairs, compareTable, versionsIn } from './conformance/versions.ts'
import { compareWithApk } from './conformance/worlds.ts'

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    worlds: { type: 'string', default: '500' },
    'apk-worlds': { type: 'string', default: '200' },
    /** Small repositories. */
    small: { type: 'string', default: '300' },
    /** So many of the indexes' versions, each with each. */
    versions: { type: 'string', default: '3000' },
    /** A directory of public keys: the signatures of the indexes are checked with them. */
    keys: { type: 'string' },
    index: { type: 'string', multiple: true, default: [] },
  },
})
const seed = Number(values.seed)
const findings = new Findings()
const started = performance.now()

console.log(`seed ${seed}`)
const apk = process.env.APK === undefined ? undefined : await RealApk.open(process.env.APK)
try {
  const apko = await buildApko().catch((error: unknown) => {
    findings.differs(String(error))
    return undefined
  })
  if (apko === undefined) findings.title('apko: not asked, it needs Go')
  const known = apko === undefined ? [] : indexesOfApko(apko).map((file) => readRepository(file, values.keys))
  for (const repository of known) {
    if (apko === undefined) continue
    findings.title(`apko, ${describe(repository)}`)
    const worlds = Math.round(Number(values.worlds) / known.length)
    await compareWithApko(apko, apk, repository, { seed, worlds }, findings)
  }
  const repositories =
    values.index.length > 0 ? values.index.map((where) => readRepository(where, values.keys)) : tagged(known)
  const tests = process.env.APK_TESTS
  if (tests !== undefined) {
    findings.title('the tests of apk-tools')
    await compareTable(apk, tests, findings)
    await runCases(tests, findings)
  }
  if (apk !== undefined) {
    findings.title(`${apk.version}, small repositories`)
    await compareSmall(apk, { seed, worlds: Number(values.small) }, findings)
  }
  if (apk === undefined) findings.title('apk: skipped, APK names none')
  else if (repositories.length === 0) findings.title('apk: skipped, there is no index: name one with --index')
  else {
    findings.title(`${apk.version}, ${repositories.map(describe).join(', ')}`)
    await compareWithApk(apk, repositories, { seed, worlds: Number(values['apk-worlds']) }, findings)
    const versions = versionsIn(repositories, randomNumbers(seed))
    await comparePairs(apk, versions, Number(values.versions), findings)
  }
} finally {
  apk?.close()
}
console.log(
  `\n${findings.differences === 0 ? 'Nothing differs that is not explained' : `${findings.differences} differences`} (seed ${seed}, ${((performance.now() - started) / 1000).toFixed(0)} s)`,
)
process.exitCode = findings.differences > 0 ? 1 : 0

/** The newer one, and the older one for what asks for it by its tag. */
function tagged(repositories: readonly Repository[]): readonly Repository[] {
  return repositories.map((each, n) => (n === 0 ? each : { ...each, tag: 'older' }))
}

function describe({ description, stanzas, signedBy, tag }: Repository): string {
  const words = [
    `${stanzas.length} packages`,
    ...(signedBy === undefined ? [] : [`signed by ${signedBy}`]),
    ...(tag === undefined ? [] : [`@${tag}`]),
  ]
  return `${description} (${words.join(', ')})`
}
