/** What an overlay asks for: world, repositories and keys. */

import { readTar } from '../../../build/archive.ts'
import { decompress } from '../../../build/compression.ts'
import { CommandError } from '../../../build/error.ts'
import { readInput } from '../../../build/inputs.ts'
import { formatOf } from '../../overlay/name.ts'

export interface OverlayWishes {
  /** etc/apk/world; undefined: it has none. */
  readonly world: string | undefined
  /** Lines of etc/apk/repositories that are URLs: a path is one of the client's. */
  readonly repositories: readonly string[]
  readonly keys: ReadonlyMap<string, Buffer>
}

const mostBytes = 1 << 30

export function readOverlay(path: string): OverlayWishes {
  const { cipher, unpack } = formatOf(path.startsWith('/') ? path : `/${path}`, path)
  if (cipher !== undefined) {
    throw new CommandError(`${path} is encrypted`, {
      advice: [
        'Decrypt it first (openssl enc -d), or name its world: --world FILE, a copy of its etc/apk/world.',
      ],
    })
  }
  const kind = unpack.kind === 'gunzip' ? 'gz' : 'zst'
  const archive = decompress(readInput(path), kind, path, mostBytes)
  const files = new Map<string, Buffer>()
  for (const member of readTar(archive, path)) {
    if (member.kind === 'file' && member.name.startsWith('etc/apk/')) files.set(member.name, member.bytes)
  }
  const text = (name: string) => files.get(`etc/apk/${name}`)?.toString('utf8')
  const lines = (text('repositories') ?? '').split('\n').map((line) => line.trim())
  return {
    world: text('world'),
    repositories: lines.filter((line) => /^(?:@\S+\s+)?[a-z][a-z\d+.-]*:\/\//i.test(line)),
    keys: new Map(
      [...files].flatMap(([name, pem]) => {
        const [, key] = /^etc\/apk\/keys\/([^/]+\.pub)$/.exec(name) ?? []
        return key === undefined ? [] : [[key, pem]]
      }),
    ),
  }
}
