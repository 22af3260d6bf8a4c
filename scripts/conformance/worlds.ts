/** Our choice against the real apk's, world by world: nothing may differ, not even the order. */

import { availableParallelism } from 'node:os'
import { randomNumbers } from '../../test/support/random.ts'
import { stanzaSource } from '../../test/support/stanza-source.ts'
import { drawWorld, fillUrn } from './draw.ts'
import type { Findings } from './findings.ts'
import { chooseOurselves, difference } from './ours.ts'
import type { RealApk } from './real-apk.ts'
import type { Repository } from './repository.ts'

export interface Drawing {
  readonly seed: number
  readonly worlds: number
}

export async function compareWithApk(
  apk: RealApk,
  repositories: readonly Repository[],
  { seed, worlds }: Drawing,
  findings: Findings,
): Promise<void> {
  const source = stanzaSource(repositories)
  const options = apk.repositories(repositories)
  const urn = fillUrn(repositories)
  const random = randomNumbers(seed)
  const drawn = Array.from({ length: worlds }, () => drawWorld(random, urn, 'nothing'))
  let [same, packages, broken] = [0, 0, 0]
  await inParallel(drawn, async (world) => {
    const theirs = await apk.choose(options, world)
    const ours = await chooseOurselves(source, world)
    packages += ours.lines.length
    if (ours.dropped.length > 0) broken++
    const differing = theirs === undefined ? 'apk came to no end' : difference(ours.lines, theirs)
    if (differing === undefined) same++
    else findings.differs(`${world.join(' ')}\n      ${differing}`)
  })
  findings.say(
    `${same} of ${worlds} worlds as ${apk.version} chooses them, with ${packages} packages; ${broken} worlds could not be had whole`,
  )
}

/** As many at a time as there are cores, in order. */
export async function inParallel<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  const waiting = items[Symbol.iterator]()
  const workers = Array.from({ length: availableParallelism() }, async () => {
    for (const item of waiting) await work(item)
  })
  await Promise.all(workers)
}
