/** Something that the boot fetches, asked for now: every mirror, and what the first good one has. */

import { showBytes } from '../../boot/format.ts'
import type { ProxyPlan } from '../../boot/proxy-plan.ts'
import { proxyFor } from '../../network/proxy.ts'
import { hostOf, redactUrl, schemeOf } from '../../network/url.ts'
import { filledIn, type MachineFacts, missingIn } from './facts.ts'
import { type Answer, askHttp, type Wish } from './http.ts'
import { NoAnswer } from './no-answer.ts'
import { askTftp } from './tftp.ts'

/** What was asked, and whether the boot would get it. */
export interface Check {
  readonly what: string
  readonly state: 'fine' | 'fails' | 'unknown'
  /** Lines: what came back. */
  readonly says: readonly string[]
}

export interface Asker {
  readonly machine: MachineFacts
  readonly ca: Buffer | undefined
  /** PEM, by name: who may sign. */
  readonly keys: ReadonlyMap<string, Buffer>
  /** The overlay that a medium of the machine's is going to have. */
  readonly overlay?: { readonly name: string; readonly bytes: Buffer }
  /** Of the plan. */
  readonly proxies: ProxyPlan
  /** Before each question. */
  readonly tell: () => void
}

export interface Obtained {
  /** Undefined: no mirror has it, or it cannot be known from here. */
  readonly answer: Answer | undefined
  readonly url: string | undefined
  readonly state: Check['state']
  readonly says: readonly string[]
}

/** Of an overlay, an index, a lock; a machine has a few hundred megabytes for its whole root. */
export const mostWhole = 256 << 20

/** All mirrors are asked; the boot goes on with the first that has it, so one is enough. */
export async function obtain(
  urls: readonly string[],
  part: Wish['part'],
  { machine, ca, proxies, tell }: Asker,
): Promise<Obtained> {
  const filled = urls.map((url) => filledIn(url, machine))
  const missing = new Set(filled.flatMap(missingIn))
  if (missing.size > 0) {
    const options = [...missing].map((each) => (each === '{MAC}' ? '--mac' : '--uuid')).join(' and ')
    return {
      answer: undefined,
      url: undefined,
      state: 'unknown',
      says: [...filled.map(redactUrl), `which one is the machine’s own: ${options} says whose`],
    }
  }
  const results = await Promise.all(
    filled.map(async (url) => {
      tell()
      return { url, ...(await ask(url, { part, limit: mostWhole, ca, proxy: proxyFor(url, proxies) })) }
    }),
  )
  const good = results.find(({ answer }) => answer !== undefined)
  return {
    answer: good?.answer,
    url: good?.url,
    state: good === undefined ? 'fails' : 'fine',
    says: results.map(({ url, answer, why }) => {
      const shown = redactUrl(url)
      if (answer === undefined)
        return `${shown}: ${why}${good === undefined ? '' : '; another mirror has it'}`
      const size = answer.size === undefined ? 'of a size that is not told' : showBytes(answer.size)
      return [`${shown}: ${size}`, ...answer.notes].join(', ')
    }),
  }
}

async function ask(url: string, wish: Wish): Promise<{ readonly answer?: Answer; readonly why?: string }> {
  try {
    const scheme = schemeOf(url)
    if (hostOf(url) === undefined) return { why: 'it names no server' }
    if (scheme === 'tftp') return { answer: await askTftp(url, wish) }
    if (scheme === 'http' || scheme === 'https') return { answer: await askHttp(url, wish) }
    return { why: `init does not speak ${scheme ?? 'it'}` }
  } catch (error) {
    if (error instanceof NoAnswer) return { why: error.message }
    if (error instanceof TypeError) return { why: 'it is no URL' }
    throw error
  }
}
