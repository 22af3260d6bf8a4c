/**
 * What a directory cannot hold without root: owners, modes, devices, attributes, entry by entry, in a file beside the files.
 * The format is mtree(5)'s, with `vis -co` names, so that bsdtar reads it too; what mtree has no word for is `pax.KEY=BASE64`.
 */

import { CommandError } from '../../../build/error.ts'
import { type Contents, type Entry, insidePath } from './entry.ts'

export const manifestName = '.diskless-owners'

const types = {
  file: 'file',
  hardlink: 'file',
  directory: 'dir',
  symlink: 'link',
  character: 'char',
  block: 'block',
  fifo: 'fifo',
} as const

/** What the manifest says of a path; what is in the file, and where a symlink leads, the directory says. */
export type Listed = Pick<Entry, 'mode' | 'uid' | 'gid' | 'user' | 'group' | 'mtime' | 'records'> & {
  readonly type: (typeof types)[keyof typeof types]
  /** Of a device. */
  readonly device: { readonly major: number; readonly minor: number } | undefined
}

export function formatManifest(contents: Contents): string {
  const lines = [...contents].map(([path, entry]) => {
    const { mode, uid, gid, user, group, mtime, records } = entry
    const words = [
      `type=${types[entry.kind]}`,
      `mode=${mode.toString(8).padStart(4, '0')}`,
      `uid=${uid}`,
      `gid=${gid}`,
      ...(user === '' ? [] : [`uname=${vis(user)}`]),
      ...(group === '' ? [] : [`gname=${vis(group)}`]),
      `time=${mtime}.0`,
      ...(entry.kind === 'symlink' ? [`link=${vis(entry.target)}`] : []),
      ...('major' in entry ? [`device=native,${entry.major},${entry.minor}`] : []),
      ...[...records].map(([key, value]) => `pax.${vis(key)}=${value.toString('base64')}`),
    ]
    return `./${vis(path)} ${words.join(' ')}`
  })
  return `#mtree\n${lines.join('\n')}\n`
}

/** `subject`: the file's name. Throws at what it cannot read, with the line. */
export function parseManifest(text: string, subject: string): Map<string, Listed> {
  const listed = new Map<string, Listed>()
  text.split('\n').forEach((line, index) => {
    if (line.trim() === '' || line.startsWith('#')) return
    const where = `${subject}, line ${index + 1}`
    const [name = '', ...words] = line.trim().split(/\s+/)
    const fields = new Map<string, string>()
    for (const word of words) {
      const equals = word.indexOf('=')
      if (equals < 1) throw new CommandError(`${where}: ${word} is not KEYWORD=VALUE`)
      fields.set(word.slice(0, equals), word.slice(equals + 1))
    }
    const path = insidePath(unvis(name), where)
    const type = Object.values(types).find((each) => each === fields.get('type'))
    if (type === undefined) {
      throw new CommandError(
        `${where}: type=${fields.get('type') ?? ''} is none of ${[...new Set(Object.values(types))].join(', ')}`,
      )
    }
    listed.set(path, {
      type,
      mode: octal(fields.get('mode'), where),
      uid: decimal('uid', fields.get('uid'), where),
      gid: decimal('gid', fields.get('gid'), where),
      user: unvis(fields.get('uname') ?? ''),
      group: unvis(fields.get('gname') ?? ''),
      mtime: decimal('time', (fields.get('time') ?? '0').replace(/\..*$/, ''), where),
      records: new Map(
        [...fields].flatMap(([key, value]) =>
          key.startsWith('pax.') ? [[unvis(key.slice(4)), Buffer.from(value, 'base64')] as const] : [],
        ),
      ),
      device: deviceOf(fields.get('device'), type, where),
    })
  })
  return listed
}

function deviceOf(text: string | undefined, type: Listed['type'], where: string): Listed['device'] {
  if (type !== 'char' && type !== 'block') return undefined
  const [, major, minor] = /^(?:native|linux),(\d{1,7}),(\d{1,7})$/.exec(text ?? '') ?? []
  if (major !== undefined && minor !== undefined) return { major: Number(major), minor: Number(minor) }
  throw new CommandError(`${where}: a device needs device=native,MAJOR,MINOR`)
}

function octal(text: string | undefined, where: string): number {
  if (text !== undefined && /^[0-7]{1,5}$/.test(text)) return Number.parseInt(text, 8) & 0o7777
  throw new CommandError(`${where}: mode=${text ?? ''} is no mode`)
}

function decimal(key: string, text: string | undefined, where: string): number {
  if (text !== undefined && /^-?\d{1,15}$/.test(text)) return Number(text)
  throw new CommandError(`${where}: ${key}=${text ?? ''} is no number`)
}

/** vis(3): backslash and three octal digits for what is no plain character. */
function vis(text: string): string {
  return [...Buffer.from(text)]
    .map((byte) => {
      const plain = byte > 0x20 && byte < 0x7f && byte !== 0x5c && byte !== 0x23 && byte !== 0x3d
      return plain ? String.fromCharCode(byte) : `\\${byte.toString(8).padStart(3, '0')}`
    })
    .join('')
}

function unvis(text: string): string {
  const bytes = text.replace(/\\([0-7]{3})/g, (_, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 8)),
  )
  return Buffer.from(bytes, 'latin1').toString('utf8')
}
