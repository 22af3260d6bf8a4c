/** Whom sshd lets in as one of an overlay's users: authorized_keys of sshd(8), with the modes that it insists on. */

import { CommandError } from '../../../build/error.ts'
import { readInput } from '../../../build/inputs.ts'
import { type User, userOf } from './accounts.ts'
import { type Entry, makeDirectory, put, putText, textOf } from './entry.ts'

interface Change {
  readonly mtime: number
  readonly subject: string
}

/** `file`: public keys, one a line. Resolves with the path in the overlay. */
export function addSshKeys(
  contents: Map<string, Entry>,
  name: string,
  file: string,
  { mtime, subject }: Change,
): string {
  const user = userOf(contents, name, subject)
  const path = placeOf(user, subject)
  const former = linesOf(textOf(contents, path) ?? '')
  const added = publicKeys(file).filter((line) => !former.some((each) => keyOf(each) === keyOf(line)))
  const owner = { uid: user.uid, gid: user.gid, user: name, group: name }
  const directory = (where: string, mode: number) => {
    if (contents.has(where)) return
    put(contents, where, makeDirectory({ ...owner, mode, mtime }), subject)
  }
  directory(user.home, name === 'root' ? 0o700 : 0o755)
  directory(`${user.home}/.ssh`, 0o700)
  const text = `${[...former, ...added].join('\n')}\n`
  putText(contents, path, text, { ...owner, mode: 0o600, mtime, subject })
  return path
}

export function removeSshKeys(
  contents: Map<string, Entry>,
  name: string,
  file: string,
  { mtime, subject }: Change,
): void {
  const path = placeOf(userOf(contents, name, subject), subject)
  const former = linesOf(textOf(contents, path) ?? '')
  const gone = publicKeys(file).map(keyOf)
  const kept = former.filter((line) => !gone.includes(keyOf(line)))
  if (kept.length === former.length) {
    throw new CommandError(`${subject} does not let the key ${file} in as ${name}`)
  }
  putText(contents, path, kept.map((line) => `${line}\n`).join(''), { mtime, subject })
}

function placeOf({ name, home }: User, subject: string): string {
  if (home !== '' && !home.startsWith('dev/')) return `${home}/.ssh/authorized_keys`
  throw new CommandError(`${name} has no home in ${subject} that a key could be in: /${home}`)
}

/** The key itself, without options before and the comment behind it. */
function keyOf(line: string): string {
  return /(?:^|\s)(AAAA[\w+/=]+)/.exec(line)?.[1] ?? line
}

function linesOf(text: string): string[] {
  return text.split(/\r?\n/).filter((line) => line.trim() !== '')
}

function publicKeys(file: string): string[] {
  const text = readInput(file).toString('utf8')
  if (text.includes('PRIVATE KEY')) {
    throw new CommandError(`${file} is a private key, which must never be in an overlay`, {
      advice: [`Its public half: ${file}.pub, or what ssh-keygen -y -f ${file} prints.`],
    })
  }
  const lines = linesOf(text).filter((line) => !line.startsWith('#'))
  const wrong = lines.find((line) => !/(?:^|\s)(?:ssh|ecdsa|sk)-\S+ AAAA[\w+/=]+(?:\s|$)/.test(line))
  if (lines.length > 0 && wrong === undefined) return lines
  throw new CommandError(`${file} is no public SSH key`, {
    advice: [
      'A line of it begins with ssh-ed25519, ssh-rsa or ecdsa-sha2-…: ssh-keygen -t ed25519 makes one.',
    ],
  })
}
