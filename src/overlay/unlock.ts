/** The password of an encrypted overlay: fetched, or asked of a person; tried before anything is unpacked. */

import { fillIn } from '../boot/identity.ts'
import { type FetchOptions, fetchPipeline, redactUrls } from '../network/fetch.ts'
import { BootError, type Filter, hasCode, type Sys } from '../sys/index.ts'
import { pipelineOptions } from './memory.ts'
import type { Format } from './name.ts'
import type { OverlayTarget } from './overlay.ts'
import type { Copy } from './stage.ts'

type UnlockSys = Pick<Sys, 'pipelines' | 'clock' | 'consoles'>
type Decrypt = Extract<Filter, { kind: 'decrypt' }>

export interface Locked {
  readonly copy: Copy
  readonly shown: string
  readonly cipher: Decrypt['cipher']
  readonly unpack: Format['unpack']
}

const triesOfPerson = 3
/** A person has so long to answer; any key starts it again. */
const answerMs = 300_000
const longestPassword = 1024
/**
 * lbu and Alpine's init run `openssl enc` without -pbkdf2: one round of the default digest, SHA-256 since
 * OpenSSL 1.1, MD5 before. Who encrypts by hand is told by openssl to use -pbkdf2.
 */
const derivations: readonly Decrypt['keyDerivation'][] = ['pbkdf2', 'sha256', 'md5']

/** The filter that decrypts it. It has run over the whole overlay once: the password is right and nothing is damaged. */
export async function unlock(
  sys: UnlockSys,
  locked: Locked,
  passwordUrls: readonly string[],
  target: Pick<OverlayTarget, 'mac' | 'uuid' | 'consoles'>,
  options: FetchOptions,
): Promise<Decrypt> {
  if (passwordUrls.length > 0) {
    const urls = passwordUrls.map((url) => fillIn(url, target))
    const fits = await tryPassword(sys, locked, await fetchPassword(sys, urls, locked, options), options)
    if ('filter' in fits) return fits.filter
    throw new BootError(`the password from ${redactUrls(urls)} does not open the overlay ${locked.shown}`, {
      cause: fits.cause,
      advice: [byHand(locked), 'and compare with the password that the server gives this machine'],
    })
  }
  const devices = await target.consoles()
  let cause: unknown
  for (let attempt = 1; attempt <= triesOfPerson; attempt++) {
    const wrong = attempt === 1 ? '' : `Wrong password; try ${attempt} of ${triesOfPerson}. `
    const prompt = `${wrong}Password of the overlay ${locked.shown}: `
    const fits = await tryPassword(sys, locked, await ask(sys, devices, prompt, locked, options), options)
    if ('filter' in fits) return fits.filter
    cause = fits.cause
  }
  throw new BootError(`none of ${triesOfPerson} passwords opens the overlay ${locked.shown}`, {
    cause,
    advice: [
      byHand(locked),
      'if that fails with the right password too, the file is damaged: commit it again',
    ],
  })
}

async function ask(
  sys: UnlockSys,
  devices: readonly string[],
  prompt: string,
  { shown }: Locked,
  options: FetchOptions,
): Promise<string> {
  try {
    return await sys.consoles.ask({ devices, prompt, echo: false, timeoutMs: answerMs }, options.signal)
  } catch (cause) {
    if (hasCode(cause, 'ABORTED')) throw cause
    throw new BootError(`nobody gave the password of the overlay ${shown} on ${devices.join(', ')}`, {
      cause,
      advice: ['have it fetched: diskless.apkovl_password=URL', 'or add the console in use: console='],
    })
  }
}

async function fetchPassword(
  sys: UnlockSys,
  urls: readonly string[],
  { shown }: Locked,
  options: FetchOptions,
): Promise<string> {
  const what = 'the password of the overlay'
  const request = { what, urls, sink: { kind: 'text', bytes: longestPassword } } as const
  const { text } = await fetchPipeline<'text'>(sys, request, options)
  const password = text.replace(/\r?\n$/, '')
  if (password !== '') return password
  throw new BootError(`${redactUrls(urls)} gives an empty password for the overlay ${shown}`, {
    advice: ['its first line is the password: look at what the server has there for this machine'],
  })
}

/** A wrong password, a wrong derivation and a damaged overlay look alike: what comes out is no archive. */
async function tryPassword(
  sys: UnlockSys,
  { copy, cipher, unpack }: Locked,
  password: string,
  options: FetchOptions,
): Promise<{ readonly filter: Decrypt } | { readonly cause: unknown }> {
  let cause: unknown
  for (const keyDerivation of derivations) {
    const filter: Decrypt = { kind: 'decrypt', cipher, keyDerivation, password }
    try {
      await sys.pipelines.run<'discard'>(
        {
          source: { kind: 'file', path: copy.path },
          filters: [filter, unpack],
          sink: { kind: 'discard' },
        },
        pipelineOptions(options),
      )
      return { filter }
    } catch (error) {
      if (!hasCode(error, 'FORMAT', 'TRUNCATED')) throw error
      cause = error
    }
  }
  return { cause }
}

function byHand({ cipher, unpack }: Locked): string {
  const list = unpack.kind === 'gunzip' ? 'tar tz' : 'zstd -d | tar t'
  return `try it by hand: openssl enc -d -${cipher} -in FILE | ${list} (with -pbkdf2, if it was made so)`
}
