/** The options of `diskless overlay`: one table for all that it does, and which of them go with what. */

import { UsageError } from '../command.ts'
import type { OptionTable } from '../option-table.ts'

export const overlayOptions = {
  hostname: { type: 'string', value: 'NAME', about: 'etc/hostname' },
  world: {
    type: 'string',
    multiple: true,
    value: 'A,B',
    about: 'packages to be installed, as in etc/apk/world; alpine-base comes by itself',
  },
  service: {
    type: 'string',
    multiple: true,
    value: '[LEVEL:]NAME',
    about: 'a service that OpenRC starts, in the runlevel default unless one is named: boot:networking',
  },
  user: {
    type: 'string',
    multiple: true,
    value: 'NAME[:UID[:GROUPS]]',
    about:
      "a user with a group and a home of that name, and the groups, separated by commas, besides; nobody can log in as that user before there is a key or a password\netc/passwd, etc/shadow and etc/group are then in the overlay, from a fresh Alpine's unless it has its own",
  },
  'password-file': {
    type: 'string',
    multiple: true,
    value: 'FILE[=USER]',
    about:
      'the first line is the password of USER [root], or its hash ($6$…); a password is hashed by the program openssl',
    complete: 'file',
  },
  'ssh-key': {
    type: 'string',
    multiple: true,
    value: 'FILE[=USER]',
    about: 'a public SSH key that is let in as USER [root]',
    complete: 'file',
  },
  file: {
    type: 'string',
    multiple: true,
    value: 'FILE=/PATH[:MODE[:USER:GROUP]]',
    about:
      'a file or a directory at PATH, of root [0755 where it can be run, else 0644]; what is outside of /etc is added to what `lbu commit` packs',
    complete: 'file',
  },
  repository: {
    type: 'string',
    multiple: true,
    value: 'URL',
    about: "a line of etc/apk/repositories, for the running system's apk; '@TAG URL' as well",
  },
  keys: {
    type: 'string',
    multiple: true,
    value: 'PLACE',
    about: 'public keys of repositories for etc/apk/keys: a file, or a directory of *.rsa.pub',
    complete: 'file',
  },
  interface: {
    type: 'string',
    value: '[CARD=]dhcp|FILE',
    about: 'etc/network/interfaces: a card by DHCP [eth0], or this file; for the service networking',
  },
  'no-default-services': {
    type: 'boolean',
    about:
      'new: only the services that are named. Without it the machine also starts what Alpine starts by itself (devfs, hwdrivers, modloop, syslog, …)',
  },
  remove: {
    type: 'string',
    multiple: true,
    value: '/PATH',
    about: 'edit: takes a file or a directory out',
  },
  'remove-world': { type: 'string', multiple: true, value: 'A,B', about: 'edit: packages' },
  'remove-service': {
    type: 'string',
    multiple: true,
    value: '[LEVEL:]NAME',
    about: 'edit: a service is not started any more',
  },
  'remove-user': {
    type: 'string',
    multiple: true,
    value: 'NAME',
    about: 'edit: a user; what is in the home stays',
  },
  'remove-ssh-key': {
    type: 'string',
    multiple: true,
    value: 'FILE[=USER]',
    about: 'edit: this public key is not let in any more',
    complete: 'file',
  },
  'remove-repository': {
    type: 'string',
    multiple: true,
    value: 'LINE',
    about: 'edit: a line of etc/apk/repositories',
  },
  out: {
    type: 'string',
    short: 'o',
    value: 'FILE',
    about: 'edit: write here, and leave what is read as it is',
    complete: 'file',
  },
  owners: {
    type: 'string',
    value: 'FILE',
    about:
      "pack: owners, modes and devices, as `diskless overlay unpack` or mtree(8) writes them [DIR/.diskless-owners]; what it does not name is root's",
    complete: 'file',
  },
  force: { type: 'boolean', about: 'new, pack: in place of what is there' },
  'passphrase-file': {
    type: 'string',
    value: 'FILE',
    about: 'the first line is the password of overlays that are encrypted; without it, it is asked for',
    complete: 'file',
  },
  'key-derivation': {
    type: 'string',
    value: 'sha256|pbkdf2|md5',
    about:
      'how the key is made of the password when an encrypted overlay is written [as it was, else sha256]: lbu reads sha256 (md5 before OpenSSL 1.1); pbkdf2 is the one that resists guessing, and diskless reads it',
    complete: ['sha256', 'pbkdf2', 'md5'],
  },
  sign: {
    type: 'string',
    value: 'KEY',
    about:
      'writes FILE.sig by this private RSA key, PEM; an initrd built with --overlay-key takes no other overlay',
    complete: 'file',
  },
} as const satisfies OptionTable

type Option = keyof typeof overlayOptions

const changing: readonly Option[] = [
  ...(['hostname', 'world', 'service', 'user', 'password-file', 'ssh-key', 'file', 'repository'] as const),
  ...(['keys', 'interface'] as const),
]
const writing: readonly Option[] = ['passphrase-file', 'key-derivation', 'sign']

export type Action = 'new' | 'edit' | 'diff' | 'pack' | 'unpack'

interface Form {
  /** How the help calls the words that follow. */
  readonly words: readonly string[]
  readonly options: readonly Option[]
}

export const actions: Readonly<Record<Action, Form>> = {
  new: { words: ['OUT'], options: [...changing, ...writing, 'no-default-services', 'force'] },
  edit: {
    words: ['FILE'],
    options: [
      ...changing,
      ...writing,
      ...(['remove', 'remove-world', 'remove-service', 'remove-user'] as const),
      ...(['remove-ssh-key', 'remove-repository', 'out'] as const),
    ],
  },
  diff: { words: ['A', 'B'], options: ['passphrase-file'] },
  pack: { words: ['DIR', 'OUT'], options: [...writing, 'owners', 'force'] },
  unpack: { words: ['FILE', 'DIR'], options: ['passphrase-file'] },
}

/** The action and its words. Throws a `UsageError`, also for an option that goes with another one. */
export function chooseAction(
  positionals: readonly string[],
  given: readonly string[],
): { readonly action: Action; readonly words: readonly [string, string] } {
  const [name = '', ...words] = positionals
  const help = "'diskless overlay --help' shows how."
  const action = (['new', 'edit', 'diff', 'pack', 'unpack'] as const).find((each) => each === name)
  if (action === undefined) {
    throw new UsageError(`'${name}' is none of ${Object.keys(actions).join(', ')}`, help)
  }
  const form = actions[action]
  if (words.length !== form.words.length) {
    throw new UsageError(`overlay ${action} takes ${form.words.join(' and ')}`, help)
  }
  const stranger = given.find((option) => !form.options.some((each) => each === option))
  if (stranger !== undefined) {
    const where = Object.entries(actions).filter(([, { options }]) =>
      options.some((each) => each === stranger),
    )
    throw new UsageError(
      `--${stranger} does not go with overlay ${action}`,
      `It is for overlay ${where.map(([each]) => each).join(' and ')}.`,
    )
  }
  return { action, words: [words[0] ?? '', words[1] ?? ''] }
}
