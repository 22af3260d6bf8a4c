/** Bytes from a URL, on the server: mirrors in turn, a few rounds of them. */

import { setTimeout as sleep } from 'node:timers/promises'
import { CommandError } from '../../../build/error.ts'
import { redactUrl } from '../../network/url.ts'

/** Milliseconds before the second and the third round. */
const waits = [1000, 3000]
/** Of one answer. */
const deadlineMs = 600_000

/** `what`: for a person. Rejects with a CommandError. */
export async function download(
  urls: readonly string[],
  what: string,
  tell: (line: string) => void,
): Promise<Buffer> {
  for (let round = 0; ; round++) {
    const reasons: string[] = []
    let hopeless = true
    for (const url of urls) {
      const answer = await ask(url)
      if (Buffer.isBuffer(answer)) return answer
      reasons.push(`${redactUrl(url)}: ${answer.why}`)
      hopeless &&= answer.hopeless
    }
    const wait = waits[round]
    if (hopeless || wait === undefined) {
      throw new CommandError(`${what} could not be fetched: ${reasons.join('; ')}`, {
        advice: ['Ask for it with curl; a repository on this machine can be named by its directory.'],
      })
    }
    tell(`${what}: ${reasons.join('; ')}; trying again in ${wait / 1000} s`)
    await sleep(wait)
  }
}

interface Failure {
  readonly why: string
  /** Asking again will not change it. */
  readonly hopeless: boolean
}

async function ask(text: string): Promise<Buffer | Failure> {
  if (!/^https?:/i.test(text)) return { why: 'only http and https are fetched here', hopeless: true }
  const url = new URL(text)
  const user = `${decodeURIComponent(url.username)}:${decodeURIComponent(url.password)}`
  url.username = ''
  url.password = ''
  const headers: Record<string, string> =
    user === ':' ? {} : { authorization: `Basic ${Buffer.from(user).toString('base64')}` }
  try {
    const response = await fetch(url, { headers, signal: AbortSignal.timeout(deadlineMs) })
    if (response.ok) return Buffer.from(await response.arrayBuffer())
    await response.body?.cancel()
    return { why: `the server says ${response.status}`, hopeless: response.status < 500 }
  } catch (error) {
    const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error
    return { why: cause instanceof Error ? cause.message : String(cause), hopeless: false }
  }
}
