/** Whose initrd it is: diskless’ own, by what its builder left in it, or another’s, by the traces that they leave. */

import { type Bytes, clean } from './bytes.ts'
import type { CpioEntry } from './cpio.ts'

export type InitFacts =
  | {
      readonly kind: 'diskless'
      readonly version: string | undefined
      /** ISO 8601; the clock is never before it. */
      readonly built: string | undefined
      readonly shell: string | undefined
      /** The site's own, by their files and what they import. */
      readonly hooks: readonly string[]
      /** Bytes of the native program, and of the bytecode behind it. */
      readonly host: number
      readonly bytecode: number
    }
  | { readonly kind: 'other'; readonly name: string }
  | { readonly kind: 'none' }

export interface Placed {
  readonly entry: CpioEntry
  readonly archive: Bytes
}

export function contentOf({ entry, archive }: Placed, most = 1 << 20): Buffer {
  return archive.slice(entry.offset, Math.min(entry.size, most))
}

/** What `/init --append` puts behind the bytecode: its length, and this (runtime/src/bundle.rs). */
const magic = 'DISKLSBC'

export function describeInit(files: ReadonlyMap<string, Placed>): InitFacts {
  const init = files.get('init')
  if (init === undefined) return { kind: 'none' }
  const { entry, archive } = init
  const trailer = archive.slice(entry.offset + Math.max(0, entry.size - 16), 16)
  if (trailer.length === 16 && trailer.toString('latin1', 8) === magic) {
    const bytecode = Number(trailer.readBigUInt64LE(0))
    return {
      kind: 'diskless',
      ...readConfig(files),
      hooks: readHooks(files),
      host: Math.max(0, entry.size - 16 - bytecode),
      bytecode: Math.min(bytecode, entry.size),
    }
  }
  return { kind: 'other', name: nameOf(contentOf(init, 4096).toString('latin1'), files) }
}

function readConfig(files: ReadonlyMap<string, Placed>) {
  const nothing = { version: undefined, built: undefined, shell: undefined }
  const config = files.get('etc/diskless/config.json')
  if (config === undefined) return nothing
  try {
    const parsed: unknown = JSON.parse(contentOf(config).toString('utf8'))
    if (typeof parsed !== 'object' || parsed === null) return nothing
    const version =
      'version' in parsed && typeof parsed.version === 'string' ? clean(parsed.version) : undefined
    const time = 'buildTime' in parsed && typeof parsed.buildTime === 'number' ? parsed.buildTime : undefined
    const shell = 'shell' in parsed ? parsed.shell : undefined
    const kind = typeof shell === 'object' && shell !== null && 'kind' in shell ? shell.kind : undefined
    const built = new Date((time ?? Number.NaN) * 1000)
    return {
      version,
      built: Number.isNaN(built.getTime()) ? undefined : built.toISOString().replace('.000Z', 'Z'),
      shell: typeof kind === 'string' ? clean(kind) : undefined,
    }
  } catch {
    return nothing
  }
}

function readHooks(files: ReadonlyMap<string, Placed>): readonly string[] {
  const placed = files.get('etc/diskless/hooks.json')
  try {
    const places: unknown =
      placed === undefined ? undefined : JSON.parse(contentOf(placed, 16 << 20).toString('utf8'))
    if (typeof places !== 'object' || places === null || !('sources' in places)) return []
    const { sources } = places
    return Array.isArray(sources)
      ? sources.flatMap((name) => (typeof name === 'string' ? [clean(name)] : []))
      : []
  } catch {
    return []
  }
}

function nameOf(start: string, files: ReadonlyMap<string, Placed>): string {
  const has = (prefix: string) => [...files.keys()].some((name) => name.startsWith(prefix))
  const [, version] = /^VERSION=([\w.-]+)$/m.exec(start) ?? []
  if (start.includes('Alpine') || (has('etc/apk/') && start.startsWith('#!'))) {
    return `Alpine’s mkinitfs${version === undefined ? '' : ` ${version}`}`
  }
  if (has('usr/lib/dracut/') || has('lib/dracut/')) return 'dracut'
  if (has('scripts/init-premount') || has('scripts/functions')) return 'initramfs-tools'
  if (has('etc/mkinitcpio') || has('hooks/')) return 'mkinitcpio'
  if (start.startsWith('\x7fELF')) return 'a program of its own'
  return start.startsWith('#!') ? 'a script of its own' : 'something that is no program'
}
