/**
 * Fetching with a cache. What cannot have changed (a package of this checksum, a file of this digest) comes from the disk
 * without a word to its server; for the rest the server is asked whether it changed, and where no server answers, the
 * last good state has to do, aloud. What comes is kept.
 */

import { type FetchOptions, type FetchRequest, fetchPipeline, redactUrl } from '../network/fetch.ts'
import { hostOf, schemeOf } from '../network/url.ts'
import {
  BootError,
  chainOf,
  hasCode,
  type Mac,
  type Results,
  type Sink,
  type Sys,
  SysError,
} from '../sys/index.ts'
import { type Asked, damage, exactly, expectedDigest, isFixed, isSilence } from './request.ts'
import { type CachedEntry, type CacheState, dateOf } from './state.ts'
import type { Store } from './store.ts'

export interface Cache {
  readonly state: CacheState | undefined
  readonly fetch: typeof fetchPipeline
  /** No server can be reached, and nothing is asked for any more. */
  readonly offline: boolean
  goOffline(): void
  /** Files of the medium, as their paths below /media, that the last good boot used, and may be used without it. */
  heldOf(medium: string): readonly HeldFile[]
  pathOf(entry: CachedEntry): Promise<string | undefined>
  /** The medium is not there, and what `heldOf` gave stands in for it: this boot is no new state. */
  standIn(): void
  readonly standsIn: boolean
  /** Keeps a file of the medium that nobody fetches, unless it has one of this path and length. */
  keepFile(sys: FetchSys, path: string, bytes: number, options: FetchOptions): Promise<void>
  /** This boot was good. */
  commit(at: number, mac: Mac | undefined): Promise<CacheUse>
}

/** Of this boot's downloads. */
export interface CacheUse {
  /** How many came from the disk, and how many are new on it. */
  readonly reused: number
  readonly kept: number
  /** Bytes of the latter. */
  readonly keptBytes: number
  /** What the disk has is what this boot used. */
  readonly complete: boolean
}

export interface HeldFile {
  readonly path: string
  readonly entry: CachedEntry
}

export interface CacheRequest {
  readonly store: Store
  /** A medium on a file server: its mount point, and how a person knows it. */
  readonly medium: { readonly target: string; readonly name: string } | undefined
  readonly onWarning: (text: string) => void
}

type FetchSys = Pick<Sys, 'pipelines' | 'clock'>

interface Held {
  readonly path: string
  readonly entry: CachedEntry
  /** It was found by its URL, so that its server knows the validator. */
  readonly url: string | undefined
}

/** With a copy at hand nobody is asked for long. */
const briefly = { limits: { triesPerUrl: 2, patienceMs: 15_000 }, deadlines: { connectMs: 5_000 } }

export function cacheOver({ store, medium, onWarning }: CacheRequest): Cache {
  const used = new Map<string, CachedEntry>()
  const fresh = new Map<string, CachedEntry>()
  const silent = new Set<string>()
  let offline = false
  let standsIn = false
  let complete = true

  /** Who it is that may be silent; undefined: nothing that is not at hand anyway. */
  function serverOf(url: string): string | undefined {
    if (['http', 'https', 'tftp'].includes(schemeOf(url) ?? '')) return hostOf(url)
    return medium !== undefined && url.startsWith(`${medium.target}/`) ? medium.name : undefined
  }

  async function fetch<K extends Sink['kind']>(
    sys: FetchSys,
    request: FetchRequest<K>,
    options: FetchOptions = {},
  ): Promise<Results[K]> {
    const servers = request.urls.map(serverOf)
    const [server] = servers
    if (server === undefined || servers.includes(undefined)) return fetchPipeline(sys, request, options)
    const held = await find(request)
    const unasked = offline || silent.has(server)
    if (held !== undefined && (unasked || isFixed(request, request.sink))) {
      const result = await fromDisk(sys, request, held, options)
      if (result !== undefined) return result
    }
    if (offline) throw notHeld(request, held)
    try {
      if (held === undefined || (await hasChanged(sys, request, held, options))) {
        return await anew(sys, request, held, options)
      }
    } catch (error) {
      const cause = error instanceof BootError ? error.cause : undefined
      if (held === undefined || !(cause instanceof SysError) || !isSilence(cause)) throw error
      tellSilence(server, cause)
      const result = await fromDisk(sys, request, held, options)
      if (result !== undefined) return result
      throw new BootError(`${request.what}: the copy in the cache is damaged, and no server answers`, {
        cause: error,
      })
    }
    return (await fromDisk(sys, request, held, options)) ?? anew(sys, request, undefined, options)
  }

  /** Without a byte of it: what changed is fetched by another request, with the disk made ready to keep it. */
  async function hasChanged(
    sys: FetchSys,
    { what, urls }: Asked,
    { url, entry }: Held,
    options: FetchOptions,
  ): Promise<boolean> {
    const { validator } = entry
    const isFile = url?.startsWith('/') === true
    if (url === undefined || (validator === undefined && !isFile)) return true
    const asked = isFile
      ? { filters: exactly(entry) }
      : {
          filters: [{ kind: 'limit', bytes: 0 }] as const,
          ...(validator === undefined ? {} : { known: { url, validator } }),
        }
    try {
      await fetchPipeline<'discard'>(
        sys,
        { what, urls, sink: { kind: 'discard' }, ...asked, ...briefly },
        options,
      )
      return !isFile
    } catch (error) {
      const cause = error instanceof BootError ? error.cause : undefined
      if (hasCode(cause, 'HTTP') && cause.status === 304) return false
      if (hasCode(cause, 'TOO_BIG', 'DIGEST')) return true
      throw error
    }
  }

  async function find({ urls, filters }: Asked): Promise<Held | undefined> {
    const expected = expectedDigest(filters)
    const known = store.state?.entries ?? new Map<string, CachedEntry>()
    const byUrl = urls.flatMap((url) => {
      const entry = known.get(redactUrl(url))
      return entry === undefined ? [] : [{ url, entry }]
    })
    // Whatever its URL was.
    const byDigest =
      expected === undefined ? [] : [...known.values()].map((entry) => ({ url: undefined, entry }))
    // First one whose server can be asked whether it changed.
    const asked = byUrl.toSorted((a, b) => Number(!a.entry.validator) - Number(!b.entry.validator))
    for (const { url, entry } of [...asked, ...byDigest]) {
      if (expected !== undefined && entry.sha256 !== expected) continue
      const path = await store.find(entry)
      if (path !== undefined) return { url, entry, path }
    }
    return undefined
  }

  /** Undefined: what is there is damaged, and not there any more. */
  async function fromDisk<K extends Sink['kind']>(
    sys: FetchSys,
    request: FetchRequest<K>,
    { path, entry }: Held,
    { signal, onProgress }: FetchOptions,
  ): Promise<Results[K] | undefined> {
    const source = { kind: 'file', path } as const
    const whole = exactly(entry)
    const until = signal === undefined ? {} : { signal }
    try {
      // What a tree has unpacked before its last byte was seen would be in the root.
      if (request.sink.kind === 'tree') {
        await sys.pipelines.run<'discard'>({ source, filters: whole, sink: { kind: 'discard' } }, until)
      }
      const result = await sys.pipelines.run<K>(
        { source, filters: [...whole, ...(request.filters ?? [])], sink: request.sink },
        { ...until, ...(onProgress === undefined ? {} : { onProgress }) },
      )
      note(request, entry)
      return result
    } catch (error) {
      if (!hasCode(error, ...damage)) throw error
      onWarning(`the cache’s copy of ${request.what} is damaged: ${error.message.replace(/^[^:]*: /, '')}`)
      await store.drop(entry)
      return undefined
    }
  }

  async function anew<K extends Sink['kind']>(
    sys: FetchSys,
    request: FetchRequest<K>,
    held: Held | undefined,
    options: FetchOptions,
  ): Promise<Results[K]> {
    const place = await store.begin()
    let from: string | undefined
    const result = await fetchPipeline<K>(
      sys,
      {
        ...request,
        ...(held === undefined ? {} : briefly),
        ...(place === undefined ? {} : { aside: place }),
      },
      {
        ...options,
        onDelivered: (url) => {
          from = url
          options.onDelivered?.(url)
        },
      },
    )
    const { copied, validator } = result
    const kept =
      place === undefined || copied === undefined ? undefined : await store.keep(place.path, copied)
    if (kept === undefined) complete = false
    else noteNew(request, { ...kept, validator }, from)
    return result
  }

  function note({ urls }: Asked, entry: CachedEntry): void {
    for (const url of urls) used.set(redactUrl(url), entry)
  }

  /** What one server goes by to know it says nothing to its mirrors. */
  function noteNew({ urls }: Asked, entry: CachedEntry, from: string | undefined): void {
    for (const url of urls) {
      const known = url === from ? entry : { ...entry, validator: undefined }
      used.set(redactUrl(url), known)
      fresh.set(redactUrl(url), known)
    }
  }

  function tellSilence(server: string, cause: SysError): void {
    if (silent.has(server)) return
    silent.add(server)
    onWarning(
      `${server} does not answer (${chainOf(cause).join(': ')}): what it served at the last good boot${dateOf(store.state)} comes from the cache`,
    )
  }

  return {
    state: store.state,
    fetch,
    get offline() {
      return offline
    },
    goOffline: () => {
      offline = true
    },
    heldOf: (target) =>
      [...(store.state?.entries ?? [])].flatMap(([path, entry]) =>
        path.startsWith(`${target}/`) && !path.split('/').includes('..') ? [{ path, entry }] : [],
      ),
    pathOf: store.find,
    get standsIn() {
      return standsIn
    },
    standIn: () => {
      standsIn = true
    },
    keepFile: async (sys, path, bytes, options) => {
      const request = { what: path, urls: [path], sink: { kind: 'discard' } } as const
      const held = await find(request)
      if (held !== undefined && held.entry.bytes === bytes) note(request, held.entry)
      else await anew<'discard'>(sys, request, undefined, options)
    },
    commit: async (at, mac) => {
      const use = {
        reused: used.size - fresh.size,
        kept: fresh.size,
        keptBytes: [...fresh.values()].reduce((sum, { bytes }) => sum + bytes, 0),
      }
      const same = fresh.size === 0 && used.size === store.state?.entries.size && store.state.mac === mac
      if (complete && !same && !offline && !standsIn) await store.commit({ at, mac, entries: used })
      return { ...use, complete }
    },
  }
}

function notHeld({ what, urls }: Asked, held: Held | undefined): BootError {
  const shown = redactUrl(urls[0] ?? '')
  return held === undefined
    ? new BootError(`${what} is not in the cache, and there is no network to fetch ${shown}`)
    : new BootError(`${what} is damaged in the cache, and there is no network to fetch ${shown} again`)
}
