/** What can be said of a request to the cache without looking: whether its answer can change, what an error of it means. */

import type { FetchRequest } from '../network/fetch.ts'
import { verdictOn } from '../network/fetch-errors.ts'
import { type Filter, hasCode, type Sink, type SysError } from '../sys/index.ts'
import type { CachedEntry } from './state.ts'

/** What a request is about, whatever is made of it. */
export type Asked = Pick<FetchRequest<'discard'>, 'what' | 'urls' | 'filters'>

/** How a copy shows that it is not what it was. */
export const damage = [
  'DIGEST',
  'SIGNATURE',
  'FORMAT',
  'TRUNCATED',
  'TOO_BIG',
  'EIO',
  'EUCLEAN',
  'EBADMSG',
  'ENOENT',
] as const

export function exactly({ bytes, sha256 }: CachedEntry): readonly Filter[] {
  return [
    { kind: 'limit', bytes },
    { kind: 'digest', algorithm: 'sha256', expected: sha256 },
  ]
}

/** Nobody said no. A share whose server stopped: nfs(5)'s softerr, and what its soft makes of it. */
export function isSilence(cause: SysError): boolean {
  return verdictOn(cause) === 'again' || hasCode(cause, 'EIO', 'ESTALE')
}

/** Whether what the request asks for can be only this, whatever the server has by now. */
export function isFixed({ filters }: Asked, sink: Sink): boolean {
  return sink.kind === 'apk-stage' || expectedDigest(filters) !== undefined
}

/** The digest that the source itself must have: not that of what a filter makes of it. */
export function expectedDigest(filters: readonly Filter[] = []): string | undefined {
  const [first] = filters.filter(({ kind }) => kind !== 'limit')
  return first?.kind === 'digest' && first.algorithm === 'sha256' ? first.expected : undefined
}
