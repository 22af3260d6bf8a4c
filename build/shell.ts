/** Who may use the emergency shell, as /etc/diskless/config.json says it to init. */

import { createHash, pbkdf2Sync } from 'node:crypto'
import { CommandError } from './error.ts'

export type Shell =
  /** Anybody at a console. */
  | { readonly kind: 'open' }
  /** Who knows the password: `pbkdf2-sha256$ITERATIONS$SALT$HASH`, salt and hash (32 bytes) in hex. */
  | { readonly kind: 'password'; readonly hash: string }
  /** Nobody: there is no shell, and no busybox, in the initrd. */
  | { readonly kind: 'none' }

const iterations = 200_000
const format = /^pbkdf2-sha256\$[1-9]\d{0,7}\$([0-9a-f]{2}){8,64}\$[0-9a-f]{64}$/

/**
 * From a password file: its first line is a password, or its hash as `Shell` has it, made elsewhere. The same file
 * and site give the same bytes, so the salt is no random number: it is drawn from the password and `site`, which is
 * what only this site has (its keys). Who wants a random salt puts a hash into the file. `shown`: its name, for a message.
 */
export function shellWithPassword(text: string, site: string, shown = 'the password file'): Shell {
  const line = text.split('\n')[0]?.replace(/\r$/, '') ?? ''
  if (line.startsWith('pbkdf2-sha256$')) {
    if (format.test(line)) return { kind: 'password', hash: line }
    throw new CommandError(`${shown} holds a damaged hash`, {
      advice: [
        'A hash is pbkdf2-sha256$ITERATIONS$SALT$HASH, salt and hash in lower-case hex, the hash 32 bytes.',
      ],
    })
  }
  if (line === '') throw new CommandError(`the first line of ${shown} is empty: that is no password`)
  const salt = createHash('sha256').update(`diskless shell\0${site}\0${line}`).digest().subarray(0, 16)
  const hash = pbkdf2Sync(line, salt, iterations, 32, 'sha256')
  return {
    kind: 'password',
    hash: `pbkdf2-sha256$${iterations}$${salt.toString('hex')}$${hash.toString('hex')}`,
  }
}
