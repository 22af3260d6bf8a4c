/**
 * The users of an overlay. It holds etc/passwd, etc/shadow and etc/group as whole files (passwd(5), shadow(5), group(5)), so
 * that who is added is added to what is there, or to what Alpine's alpine-baselayout-data brings.
 */

import { spawnSync } from 'node:child_process'
import { missingProgram } from '../../../build/compression.ts'
import { CommandError } from '../../../build/error.ts'
import { type Contents, type Entry, makeDirectory, type Owner, put, putText, textOf } from './entry.ts'
import { firstLine } from './file.ts'

/** The accounts of a fresh Alpine: name, uid, gid, home, and the shell of those who may log in. */
const freshUsers = `
root 0 0 /root /bin/sh
bin 1 1 /bin
daemon 2 2 /sbin
lp 4 7 /var/spool/lpd
sync 5 0 /sbin /bin/sync
shutdown 6 0 /sbin /sbin/shutdown
halt 7 0 /sbin /sbin/halt
mail 8 12 /var/mail
news 9 13 /usr/lib/news
uucp 10 14 /var/spool/uucppublic
cron 16 16 /var/spool/cron
ftp 21 21 /var/lib/ftp
sshd 22 22 /dev/null
games 35 35 /usr/games
ntp 123 123 /var/empty
guest 405 100 /dev/null
nobody 65534 65534 /
`
/** Its groups: name, gid, members. */
const freshGroups = `
root 0 root
bin 1 root,bin,daemon
daemon 2 root,bin,daemon
sys 3 root,bin
adm 4 root,daemon
tty 5
disk 6 root
lp 7 lp
kmem 9
wheel 10 root
floppy 11 root
mail 12 mail
news 13 news
uucp 14 uucp
cron 16 cron
audio 18
cdrom 19
dialout 20 root
ftp 21
sshd 22
input 23
tape 26 root
video 27 root
netdev 28
kvm 34 kvm
games 35
shadow 42
www-data 82
users 100 games
ntp 123
abuild 300
utmp 406
ping 999
nogroup 65533
nobody 65534
`

const rows = (table: string) =>
  table
    .trim()
    .split('\n')
    .map((line) => line.split(' '))

/** Of what the overlay does not have itself. */
export const freshAccounts: Readonly<Record<'passwd' | 'group' | 'shadow', string>> = {
  passwd: lines(
    rows(freshUsers).map(([name, uid, gid, home, shell = '/sbin/nologin']) =>
      [name, 'x', uid, gid, name, home, shell].join(':'),
    ),
  ),
  group: lines(rows(freshGroups).map(([name, gid, members = '']) => [name, 'x', gid, members].join(':'))),
  // As Alpine has it: root without a password, which sshd lets nobody in with.
  shadow: lines(rows(freshUsers).map(([name]) => `${name}:${name === 'root' ? '' : '!'}::0:::::`)),
}

export interface User {
  readonly name: string
  readonly uid: number
  readonly gid: number
  readonly home: string
}

export interface UserWish {
  readonly name: string
  readonly uid: number | undefined
  readonly groups: readonly string[]
}

interface Change {
  readonly mtime: number
  /** The overlay's name, for errors. */
  readonly subject: string
}

/** `NAME[:UID[:GROUP,GROUP]]`; undefined: it is none. */
export function parseUser(text: string): UserWish | undefined {
  const [, name, uid, groups] = /^([a-z_][a-z0-9_-]{0,30})(?::(\d{0,9})(?::([\w,-]+))?)?$/i.exec(text) ?? []
  if (name === undefined) return undefined
  const list = (groups ?? '').split(',').filter((group) => group !== '')
  return { name, uid: uid === undefined || uid === '' ? undefined : Number(uid), groups: list }
}

/** A user by name. Throws where there is none. */
export function userOf(contents: Contents, name: string, subject: string): User {
  const found = fieldsOf(contents, 'passwd').find(([each]) => each === name)
  const [, , uid, gid, , home] = found ?? []
  if (uid === undefined || gid === undefined || !/^\d+$/.test(uid) || !/^\d+$/.test(gid)) {
    throw new CommandError(`${subject} has no user ${name}`, { advice: [`Add one: --user ${name}`] })
  }
  return { name, uid: Number(uid), gid: Number(gid), home: (home ?? '').replace(/^\//, '') }
}

/** Names or numbers of a user and a group; the names that belong to numbers are looked up. Throws at a name that is not there. */
export function ownerOf(contents: Contents, user: string, group: string, subject: string): Owner {
  const find = (file: 'passwd' | 'group', word: string) => {
    const table = fieldsOf(contents, file)
    const byNumber = /^\d+$/.test(word)
    const row = table.find(([name, , id]) => (byNumber ? id === word : name === word))
    if (row === undefined && !byNumber)
      throw new CommandError(`${subject} has no ${file === 'passwd' ? 'user' : 'group'} ${word}`)
    return { id: byNumber ? Number(word) : Number(row?.[2]), name: row?.[0] ?? '' }
  }
  const [owner, its] = [find('passwd', user), find('group', group)]
  return { uid: owner.id, gid: its.id, user: owner.name, group: its.name }
}

/** With a group and a home of its own, and nothing that opens it: a key or a password does. */
export function addUser(
  contents: Map<string, Entry>,
  { name, uid: wanted, groups }: UserWish,
  change: Change,
): void {
  const users = fieldsOf(contents, 'passwd')
  if (users.some(([each]) => each === name)) {
    if (wanted !== undefined && userOf(contents, name, change.subject).uid !== wanted) {
      throw new CommandError(`${change.subject} has a user ${name} already, whose number is not ${wanted}`)
    }
  } else {
    const table = fieldsOf(contents, 'group')
    const taken = new Set([...users, ...table].map(([, , id]) => Number(id)))
    let uid = wanted ?? 1000
    while (wanted === undefined && taken.has(uid)) uid++
    const rival = users.find(([, , id]) => Number(id) === uid)
    if (rival !== undefined) {
      throw new CommandError(`the number ${uid} for ${name} is ${rival[0]}'s already`)
    }
    const own = table.find(([each]) => each === name)
    if (own === undefined && table.some(([, , id]) => Number(id) === uid)) {
      throw new CommandError(`the number ${uid} for ${name} and its group is another group's already`)
    }
    const gid = own === undefined ? uid : Number(own[2])
    append(contents, 'passwd', `${name}:x:${uid}:${gid}:${name}:/home/${name}:/bin/sh`, change)
    // No password fits *, and sshd does not take the account for a locked one, as it does with !.
    append(contents, 'shadow', `${name}:*:::::::`, change)
    if (own === undefined) append(contents, 'group', `${name}:x:${gid}:`, change)
    const owner = { uid, gid, user: name, group: name }
    put(
      contents,
      `home/${name}`,
      makeDirectory({ ...owner, mode: 0o755, mtime: change.mtime }),
      change.subject,
    )
  }
  for (const group of groups) joinGroup(contents, name, group, change)
}

/** What the user had at home stays, as userdel(8) without -r leaves it. */
export function removeUser(contents: Map<string, Entry>, name: string, change: Change): void {
  userOf(contents, name, change.subject)
  edit(contents, 'passwd', (rows) => rows.filter(([each]) => each !== name), change)
  edit(contents, 'shadow', (rows) => rows.filter(([each]) => each !== name), change)
  const others = (members = '') => members.split(',').filter((each) => each !== name)
  edit(
    contents,
    'group',
    (rows) =>
      rows
        .filter(([each, , , members]) => each !== name || others(members).join('') !== '')
        .map(([each = '', secret = '', gid = '', members]) => [each, secret, gid, others(members).join(',')]),
    change,
  )
}

/** `file`: its first line is a password, or the hash of one as crypt(5) writes it. */
export function setPassword(contents: Map<string, Entry>, name: string, file: string, change: Change): void {
  userOf(contents, name, change.subject)
  const given = firstLine(file)
  const hash = /^\$[0-9a-z]+\$[^:]+$/.test(given) ? given : hashOf(given)
  if (!fieldsOf(contents, 'shadow').some(([each]) => each === name)) {
    append(contents, 'shadow', `${name}:*:::::::`, change)
  }
  const changed = (row: readonly string[]) => (row[0] === name ? [name, hash, ...row.slice(2)] : row)
  edit(contents, 'shadow', (rows) => rows.map(changed), change)
}

/** SHA-512 of crypt(5), with a salt that is new each time. Node has no crypt(3). */
function hashOf(password: string): string {
  const { status, stdout, stderr, error } = spawnSync('openssl', ['passwd', '-6', '-stdin'], {
    input: `${password}\n`,
    encoding: 'utf8',
  })
  if (error !== undefined) throw missingProgram('openssl', 'openssl', 'openssl', error)
  const hash = stdout.trim()
  if (status === 0 && hash.startsWith('$6$')) return hash
  throw new CommandError('openssl passwd made no hash of the password', { cause: new Error(stderr.trim()) })
}

function joinGroup(contents: Map<string, Entry>, name: string, group: string, change: Change): void {
  if (!fieldsOf(contents, 'group').some(([each]) => each === group)) {
    throw new CommandError(`${change.subject} has no group ${group} for ${name}`)
  }
  const joined = (row: readonly string[]) => {
    const [each, secret = '', gid = '', members = ''] = row
    const list = members.split(',').filter((member) => member !== '')
    return each !== group || list.includes(name) ? row : [group, secret, gid, [...list, name].join(',')]
  }
  edit(contents, 'group', (rows) => rows.map(joined), change)
}

type Account = 'passwd' | 'shadow' | 'group'

function fieldsOf(contents: Contents, file: Account): (readonly string[])[] {
  const text = textOf(contents, `etc/${file}`) ?? freshAccounts[file]
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => line.split(':'))
}

function append(contents: Map<string, Entry>, file: Account, line: string, change: Change): void {
  edit(contents, file, (rows) => [...rows, line.split(':')], change)
}

function edit(
  contents: Map<string, Entry>,
  file: Account,
  how: (rows: readonly (readonly string[])[]) => readonly (readonly string[])[],
  change: Change,
): void {
  const text = lines(how(fieldsOf(contents, file)).map((row) => row.join(':')))
  const secret = { mode: 0o640, uid: 0, gid: 42, user: 'root', group: 'shadow' }
  putText(contents, `etc/${file}`, text, { ...change, ...(file === 'shadow' ? secret : {}) })
}

function lines(rows: readonly string[]): string {
  return `${rows.join('\n')}\n`
}
