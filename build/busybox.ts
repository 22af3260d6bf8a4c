/** The emergency shell's busybox, from the npm package busybox-static, checked against the digest pinned here. */

import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { CommandError } from './error.ts'
import { packageRoot } from './paths.ts'

/** SHA-256 of bin/busybox in busybox-static 1.35.0, which is busybox.net's own build for x86_64. */
export const busyboxDigest = '6e123e7f3202a8c1e9b1f94d8941580a25135382b99e8d3e34fb858bba311348'

export function readBusybox(): Buffer {
  let file: string
  try {
    file = createRequire(join(packageRoot, 'package.json')).resolve('busybox-static/bin/busybox')
  } catch (cause) {
    throw new CommandError('the package busybox-static is not installed', {
      cause,
      advice: ["Run 'npm ci'."],
    })
  }
  return checkBusybox(readFileSync(file), file)
}

export function checkBusybox(bytes: Buffer, file: string): Buffer {
  const digest = createHash('sha256').update(bytes).digest('hex')
  if (digest === busyboxDigest) return bytes
  throw new CommandError(`${file} is not the busybox that diskless was tested with`, {
    cause: new Error(`its SHA-256 is ${digest}, and ${busyboxDigest} is expected`),
    advice: ["Run 'npm ci' to have the locked packages again; if that does not help, do not trust the file."],
  })
}
