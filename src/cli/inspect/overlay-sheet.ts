/** An overlay, for a person. */

import { showBytes, showCount } from '../../boot/format.ts'
import type { Part, Sheet } from '../sheet.ts'
import { keyRow } from './keys.ts'
import type { OverlayFacts, UserFacts } from './overlay.ts'
import type { InspectOptions } from './report.ts'
import { contentSections } from './sheets.ts'

export function overlaySheet(facts: OverlayFacts, options: InspectOptions): Sheet {
  const { world, services, repositories, users } = facts
  const runlevels = ['sysinit', 'boot', 'default', 'shutdown']
  const known = Object.keys(services).sort((a, b) => rank(a) - rank(b))
  function rank(runlevel: string): number {
    const at = runlevels.indexOf(runlevel)
    return at === -1 ? runlevels.length : at
  }
  return {
    title: `${options.subject}: an overlay, ${showBytes(facts.size)}`,
    sections: [
      {
        parts: [
          {
            kind: 'facts',
            rows: [
              ['hostname', facts.hostname ?? 'not set'],
              ['world', world === undefined ? 'none: alpine-base alone' : world.join(' ') || 'empty'],
              [
                'repositories',
                ...(repositories.length === 0
                  ? ['none: alpine_repo= or a medium has to name them']
                  : repositories),
              ],
              ...known.map((runlevel): [string, string] => [
                `at ${runlevel}`,
                (services[runlevel] ?? []).join(' '),
              ]),
              ...(facts.defaultServices
                ? [['services', 'besides these Alpine’s own, as without an overlay'] as const]
                : []),
              ...(facts.fstab.length === 0 ? [] : [['fstab', ...facts.fstab] as const]),
              ...(facts.cache === undefined ? [] : [['package cache', facts.cache] as const]),
            ],
          },
          { kind: 'notes', tone: 'bad', lines: facts.warnings },
        ],
      },
      { title: 'Users', parts: [userTable(users, options.all)] },
      {
        title: 'Keys of repositories',
        parts: [
          {
            kind: 'table',
            columns: [{ title: '' }, { title: '' }, { title: '' }],
            rows: facts.keys.map(keyRow),
          },
        ],
      },
      ...contentSections(facts, `${facts.packing}, ${showBytes(facts.unpacked)} unpacked`),
    ],
  }
}

/** Those who can log in; a system has two dozen who cannot. */
function userTable(users: readonly UserFacts[], all: boolean): Part {
  const shown = users.filter(
    ({ name, password, sshKeys, uid }) =>
      all ||
      name === 'root' ||
      uid >= 1000 ||
      password === 'set' ||
      password === 'none' ||
      sshKeys.length > 0,
  )
  return {
    kind: 'table',
    columns: [
      { title: 'name' },
      { title: 'uid', right: true },
      { title: 'password' },
      { title: 'home' },
      { title: 'shell' },
      { title: 'SSH keys' },
    ],
    rows: shown.map(({ name, uid, password, home, shell, sshKeys }) => [
      name,
      Number.isNaN(uid) ? '' : String(uid),
      password,
      home,
      shell,
      sshKeys.join(', '),
    ]),
    ...(users.length > shown.length
      ? { more: `and ${showCount(users.length - shown.length, 'other')} who cannot log in: --all` }
      : {}),
  }
}

export function encryptedSheet(
  { size, salt }: { readonly size: number; readonly salt: string },
  { subject }: InspectOptions,
): Sheet {
  return {
    title: `${subject}: encrypted by openssl enc, ${showBytes(size)}`,
    sections: [
      {
        parts: [
          {
            kind: 'facts',
            rows: [
              ['salt', salt],
              ['cipher', 'not in it: the name says, NAME.apkovl.tar.gz.aes-256-cbc for one'],
              [
                'to look inside',
                `openssl enc -d -aes-256-cbc -in ${subject} -out overlay.tar.gz (with -pbkdf2, if it was made so)`,
              ],
            ],
          },
        ],
      },
    ],
  }
}
