/** `diskless explain --check` of a command line, for tests that are its servers. */

import type { Server as HttpServer } from 'node:http'
import type { Server } from 'node:net'
import { type Asker, type Check, checkPlan } from '../../../../src/cli/explain/check.ts'
import { explainCommandLine } from '../../../../src/cli/explain/explanation.ts'
import { key } from '../../../support/scenario.ts'
import { nobody } from './told.ts'

export async function listen(server: Server | HttpServer): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  return typeof address === 'object' && address !== null ? address.port : 0
}

export async function check(text: string, wish: Partial<Asker> = {}): Promise<readonly Check[]> {
  const machine = wish.machine ?? nobody
  const { plan } = explainCommandLine(text, machine)
  if (plan === undefined) throw new Error(`${text} is refused`)
  const keys = new Map([[key.name, Buffer.from(key.publicPem)]])
  return checkPlan(plan, { machine, ca: undefined, keys, tell: () => {}, ...wish })
}

export const of = (checks: readonly Check[], what: RegExp) => {
  const found = checks.find((each) => what.test(each.what))
  if (found === undefined)
    throw new Error(`nothing about ${what}: ${checks.map((each) => each.what).join(', ')}`)
  return { state: found.state, text: found.says.join('\n') }
}
