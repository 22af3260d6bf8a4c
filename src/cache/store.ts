/**
 * The cache on its disk: objects named by their SHA-256, and state.json, which says what the last good boot used. A power
 * cut leaves the old state or the new one: objects are written under their digest beside each other, state.json last and
 * by renaming, and what the old state names goes only after that. Whatever a disk says is checked when it is used.
 */
import { directoryIn } from '../root/in-root.ts'
import { type Copied, chainOf, hasCode, type Sys, SysError } from '../sys/index.ts'
import { type CachedEntry, type CacheState, formatState, parseState } from './state.ts'

export interface Store {
  /** Undefined: the cache is empty, or what it says is of no use. */
  readonly state: CacheState | undefined
  /** The object's path, if it is there with this length. */
  find(entry: CachedEntry): Promise<string | undefined>
  /** A free place for a new object, and how many bytes it may have. Undefined: nothing can be written. */
  begin(): Promise<{ readonly path: string; readonly bytes: number } | undefined>
  /** Makes an object of what was written at a place of `begin`. Undefined: it could not be kept, which was told. */
  keep(path: string, copied: Copied): Promise<Pick<CachedEntry, 'sha256' | 'bytes'> | undefined>
  /** Removes a damaged object. */
  drop(entry: CachedEntry): Promise<void>
  /** Writes the state, and removes what it does not name. */
  commit(state: CacheState): Promise<void>
}

export interface StoreRequest {
  /** Where the cache's file system is mounted read-only. */
  readonly target: string
  /** The most that the objects may take, bytes; undefined: half of the file system. */
  readonly bytes: number | undefined
  readonly onWarning: (text: string) => void
}

const directory = 'diskless-cache'
const inside = { objects: `${directory}/objects`, partial: `${directory}/partial` } as const

type StoreSys = Pick<Sys, 'files' | 'mounts'>

export async function openStore(sys: StoreSys, request: StoreRequest): Promise<Store> {
  const { target } = request
  const state = await readState(sys, target)
  const present = new Map<string, number>()
  let limit = 0
  let writable: Promise<boolean> | undefined
  let places = 0
  const told = new Set<string>()

  function warn(text: string): void {
    if (!told.has(text)) request.onWarning(text)
    told.add(text)
  }

  /** Nothing is written to the disk of a machine on which nothing changed. */
  async function prepare(): Promise<boolean> {
    await sys.mounts.remount(target, ['rw', 'nosuid', 'nodev', 'noexec'])
    await sys.files.remove(`${await directoryIn(sys, target, directory, 0o700)}/partial`)
    for (const path of Object.values(inside)) await directoryIn(sys, target, path, 0o700)
    limit = request.bytes ?? Math.floor((await sys.files.space(target)).total / 2)
    await forgetAllBut(state)
    return true
  }

  /** A disk that fails costs the cache, never the boot. */
  async function write<T>(run: () => Promise<T>): Promise<T | undefined> {
    try {
      writable ??= prepare()
      return (await writable) ? await run() : undefined
    } catch (error) {
      if (!(error instanceof SysError)) throw error
      writable = Promise.resolve(false)
      warn(`the cache takes nothing new: ${chainOf(error).join(': ')}`)
      return undefined
    }
  }

  /** Also what a boot left that was not good to its end. */
  async function forgetAllBut(state: CacheState | undefined): Promise<void> {
    const named = new Set([...(state?.entries.values() ?? [])].map(({ sha256 }) => sha256))
    const objects = await directoryIn(sys, target, inside.objects)
    present.clear()
    for (const name of await sys.files.list(objects)) {
      const path = `${objects}/${name}`
      if (named.has(name)) present.set(name, (await sys.files.status(path))?.size ?? 0)
      else await sys.files.remove(path)
    }
  }

  const used = () => [...present.values()].reduce((sum, bytes) => sum + bytes, 0)

  return {
    state,
    find: async ({ sha256, bytes }) => {
      const objects = await sys.files.resolveIn(target, `/${inside.objects}`)
      if (objects === undefined) return undefined
      const path = `${objects}/${sha256}`
      const status = await sys.files.status(path)
      return status?.kind === 'file' && status.size === bytes ? path : undefined
    },
    begin: () =>
      write(async () => {
        const path = `${await directoryIn(sys, target, inside.partial)}/${places++}`
        return { path, bytes: Math.max(0, limit - used()) }
      }),
    keep: (path, copied) =>
      write(async () => {
        if ('givenUp' in copied) {
          warn(`the cache could not keep everything: ${copied.givenUp}`)
          return undefined
        }
        const { sha256, bytes } = copied
        // Several come at once, each with what was left when it began.
        if (!present.has(sha256) && used() + bytes > limit) {
          await sys.files.remove(path)
          warn(`the cache is too small for this boot beside the last one: it may have ${limit} bytes`)
          return undefined
        }
        present.set(sha256, bytes)
        await sys.files.rename(path, `${await directoryIn(sys, target, inside.objects)}/${sha256}`)
        return { sha256, bytes }
      }),
    drop: ({ sha256 }) =>
      write(async () => {
        present.delete(sha256)
        await sys.files.remove(`${await directoryIn(sys, target, inside.objects)}/${sha256}`)
      }),
    commit: (state) =>
      write(async () => {
        const place = await directoryIn(sys, target, directory)
        await sys.files.sync()
        await sys.files.remove(`${place}/state.new`)
        await sys.files.writeText(`${place}/state.new`, formatState(state), { mode: 0o600 })
        // Else the name could reach the disk before what it names.
        await sys.files.sync()
        await sys.files.rename(`${place}/state.new`, `${place}/state.json`)
        await sys.files.sync()
        await forgetAllBut(state)
      }),
  }
}

async function readState(sys: StoreSys, target: string): Promise<CacheState | undefined> {
  const path = await sys.files.resolveIn(target, `/${directory}/state.json`)
  if (path === undefined || (await sys.files.status(path))?.kind !== 'file') return undefined
  try {
    return parseState(await sys.files.readText(path))
  } catch (error) {
    if (hasCode(error, 'EIO', 'EUCLEAN', 'EBADMSG', 'TOO_BIG')) return undefined
    throw error
  }
}
