/** What a person reads when an overlay cannot be used. */

import { BootError, hasCode } from '../sys/index.ts'
import type { FoundOverlay } from './find.ts'

/** What came back of several mirrors stays in the chain. */
export function explainFailure(
  error: unknown,
  { shown: from, mirrors }: Pick<FoundOverlay, 'shown' | 'mirrors'>,
): unknown {
  if (hasCode(error, 'ABORTED')) return error
  const told = error instanceof BootError ? error.cause : error
  const cause = mirrors.length > 0 ? error : told
  if (hasCode(told, 'ENOSPC', 'TOO_BIG')) {
    return new BootError(`the overlay ${from} does not fit into the memory of this machine`, {
      cause,
      advice: [
        'give the machine more memory, allow the root more of it (rootflags=size=…), or take large files out of the overlay',
      ],
    })
  }
  if (hasCode(told, 'ESCAPE')) {
    return new BootError(`the overlay ${from} names files outside the root; nothing of it is used`, {
      cause,
      advice: ['lbu never writes such names: look at it with tar tzf, and make it again'],
    })
  }
  if (hasCode(told, 'DIGEST')) {
    return new BootError(`the overlay ${from} is not the one whose digest the command line has`, {
      cause,
      advice: [
        'after a change that was meant, put its new sha256sum into diskless.apkovl_sha256=; otherwise find out who changed it',
      ],
    })
  }
  const damaged =
    hasCode(told, 'FORMAT') || (hasCode(told, 'TRUNCATED') && !/^pipeline\.(http|tftp)$/.test(told.operation))
  if (damaged) {
    return new BootError(`the overlay ${from} is damaged, or is no tar.gz`, {
      cause,
      advice: [
        'try it on the server: tar tzf FILE; an error page served with status 200 looks like this too',
      ],
    })
  }
  if (error instanceof BootError) return error
  return new BootError(`the overlay ${from} could not be unpacked`, { cause: error })
}

/** Whether it could not be had: what diskless.apkovl=optional excuses. What came and is wrong is no such thing. */
export function isMissing(error: unknown): boolean {
  if (!(error instanceof BootError) || error.cause === undefined) return false
  return !hasCode(
    error.cause,
    ...(['ABORTED', 'DIGEST', 'SIGNATURE', 'FORMAT', 'ESCAPE', 'TOO_BIG', 'ENOSPC', 'ENOMEM'] as const),
  )
}
