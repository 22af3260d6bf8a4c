/** The overlay, fetched now: its size, digest and signature, and what in it decides the rest of the boot. */

import { createHash, createVerify } from 'node:crypto'
import { CommandError } from '../../../build/error.ts'
import { showBytes, showCount } from '../../boot/format.ts'
import type { OverlayPlan } from '../../boot/root-plan.ts'
import { formatOf, signatureOf } from '../../overlay/name.ts'
import { BootError, chainOf } from '../../sys/index.ts'
import { bytesOf as bytesFrom } from '../inspect/bytes.ts'
import { inspectOverlay } from '../inspect/overlay.ts'
import { packingOf, unpack } from '../inspect/segments.ts'
import { bytesOf, textOf } from '../overlay/entry.ts'
import { readTar } from '../overlay/tar-read.ts'
import { type Asker, type Check, obtain } from './obtain.ts'

export interface OverlayContents {
  /** Texts of etc/apk/world and etc/apk/repositories; undefined: it has none. */
  readonly world: string | undefined
  readonly repositories: string | undefined
  readonly keys: ReadonlyMap<string, Buffer>
  /** Whether Alpine’s default services are added. */
  readonly defaultServices: boolean
}

export async function checkOverlay(
  plan: OverlayPlan,
  asker: Asker,
): Promise<{ readonly checks: readonly Check[]; readonly contents?: OverlayContents }> {
  const what = 'The overlay'
  if (plan.kind === 'url') return checkUrl(what, plan, asker)
  const { overlay } = asker
  if (overlay !== undefined) {
    const read = readContents(overlay.name, overlay.bytes)
    return 'contents' in read
      ? { checks: [{ what, state: 'fine', says: [overlay.name, ...read.says] }], contents: read.contents }
      : { checks: [{ what, state: read.state, says: [overlay.name, read.why] }] }
  }
  const where =
    plan.kind === 'search' ? 'looked for on the media of the machine' : 'in the initrd or on a medium'
  return {
    checks: [
      {
        what,
        state: 'unknown',
        says: [`${where}, which only the machine knows: --apkovl says which one it will be`],
      },
    ],
  }
}

async function checkUrl(what: string, plan: Extract<OverlayPlan, { kind: 'url' }>, asker: Asker) {
  const found = await obtain(plan.urls, 'whole', asker)
  const { answer, url } = found
  if (answer === undefined || url === undefined) {
    const optional =
      plan.optional && found.state === 'fails' ? ['it is optional: the boot would go on without'] : []
    const state = plan.optional && found.state === 'fails' ? 'unknown' : found.state
    return { checks: [{ what, state, says: [...found.says, ...optional] } satisfies Check] }
  }
  const problems: string[] = []
  const digest = createHash('sha256').update(answer.bytes).digest('hex')
  if (plan.sha256 !== undefined && plan.sha256 !== digest)
    problems.push(`its SHA-256 is ${digest}, and the command line says ${plan.sha256}`)
  const signature = await checkSignature(url, answer.bytes, asker)
  if (signature?.wrong) problems.push(signature.text)
  const read = readContents(url, answer.bytes)
  if ('why' in read && read.state === 'fails') problems.push(read.why)
  const says = [
    ...found.says,
    ...(plan.sha256 === digest ? ['its SHA-256 is right'] : []),
    ...(signature === undefined || signature.wrong ? [] : [signature.text]),
    ...('contents' in read ? read.says : read.state === 'unknown' ? [read.why] : []),
    ...problems,
  ]
  const check: Check = { what, state: problems.length > 0 ? 'fails' : 'fine', says }
  const checks: Check[] = [check]
  if (plan.passwordUrls.length > 0) {
    const password = await obtain(plan.passwordUrls, 'start', asker)
    checks.push({ what: 'The overlay’s password', state: password.state, says: password.says })
  }
  return 'contents' in read ? { checks, contents: read.contents } : { checks }
}

/** Undefined: the initrd asks for none. */
async function checkSignature(
  url: string,
  bytes: Buffer,
  asker: Asker,
): Promise<{ readonly wrong: boolean; readonly text: string } | undefined> {
  const trusted = asker.machine.initrd?.overlayKeys ?? new Map<string, Buffer>()
  if (trusted.size === 0) return undefined
  const { answer, says } = await obtain([signatureOf(url)], 'whole', asker)
  if (answer === undefined)
    return {
      wrong: true,
      text: `the initrd wants it signed, and its signature cannot be had: ${says.join('; ')}`,
    }
  const by = [...trusted].find(([, key]) => {
    try {
      return createVerify('sha256').update(bytes).verify(key, answer.bytes)
    } catch {
      return false
    }
  })
  return by === undefined
    ? { wrong: true, text: `its signature is by none of ${[...trusted.keys()].join(', ')}` }
    : { wrong: false, text: `signed by ${by[0]}` }
}

type Read =
  | { readonly contents: OverlayContents; readonly says: readonly string[] }
  | { readonly state: 'fails' | 'unknown'; readonly why: string }

function readContents(url: string, bytes: Buffer): Read {
  try {
    const { cipher } = formatOf(url, 'it')
    if (cipher !== undefined)
      return { state: 'unknown', why: `it is encrypted (${cipher}): what is in it is not known here` }
    const packing = packingOf(bytes.subarray(0, 16))
    if (packing !== 'gzip' && packing !== 'zstd')
      return { state: 'fails', why: 'it is no overlay: neither gzip nor zstd' }
    const archive = unpack[packing](bytesFrom(bytes), 0, 'the overlay').content
    const facts = inspectOverlay(archive, bytes.length, packing, 'the overlay')
    const contents = readTar(archive, 'the overlay')
    const keys = facts.keys.flatMap(({ name }): [string, Buffer][] => {
      const pem = bytesOf(contents, `etc/apk/keys/${name}`)
      return pem === undefined ? [] : [[name, pem]]
    })
    return {
      contents: {
        world: textOf(contents, 'etc/apk/world'),
        repositories: textOf(contents, 'etc/apk/repositories'),
        keys: new Map(keys),
        defaultServices: facts.defaultServices,
      },
      says: [
        `${showCount(facts.files, 'file')} of ${showBytes(facts.bytes)}${facts.hostname === undefined ? '' : `, for ${facts.hostname}`}; world: ${facts.world?.join(' ') || 'none'}`,
        ...facts.warnings,
      ],
    }
  } catch (error) {
    if (!(error instanceof CommandError || error instanceof BootError)) throw error
    return { state: 'fails', why: chainOf(error).join(': ') }
  }
}
