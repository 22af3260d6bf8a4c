/**
 * Where in a hook something went wrong. The engine knows places in the bundle; what they were in the hooks' files the
 * builder writes to /etc/diskless/hooks.json. What the machine refuses arrives without the hook on its stack, so calls
 * remember who made them.
 */
import type { Sys } from '../sys/index.ts'

/** /etc/diskless/hooks.json. */
export interface HookPlaces {
  /** The hooks' files and what they import, as they are shown. */
  readonly sources: readonly string[]
  /**
   * By the bundle's file name: where in it something of another place begins. Line (from 1), column (from 1, in bytes),
   * then source (an index; -1: not a hook's) and line in it. In order.
   */
  readonly files: Readonly<Record<string, readonly (readonly [number, number, number, number])[]>>
}

export const placesPath = '/etc/diskless/hooks.json'

/** The stacks of the calls that ended in these errors. */
export type CallSites = WeakMap<object, string>

/** `hooks/name.ts:12`; undefined where no hook is on the stack, or nothing is known of the bundle. */
export async function placeOf(
  sys: Pick<Sys, 'files'>,
  error: unknown,
  sites: CallSites,
): Promise<string | undefined> {
  const text = (await sys.files.readTexts([placesPath])).get(placesPath)
  if (text === undefined) return undefined
  const places: HookPlaces = JSON.parse(text)
  for (let at: unknown = error; at instanceof Error; at = at.cause) {
    for (const stack of [at.stack, sites.get(at)]) {
      const place = firstPlace(places, stack ?? '')
      if (place !== undefined) return place
    }
  }
  return undefined
}

/** A frame is `at name (file:line:column)`, or the place alone. */
function firstPlace({ sources, files }: HookPlaces, stack: string): string | undefined {
  for (const [, path = '', line, column] of stack.matchAll(/([^\s()]+):(\d+):(\d+)\)?$/gm)) {
    const table = files[path.slice(path.lastIndexOf('/') + 1)] ?? []
    const last = table.findLast(
      (entry) => entry[0] < Number(line) || (entry[0] === Number(line) && entry[1] <= Number(column)),
    )
    const source = last === undefined ? undefined : sources[last[2]]
    if (last !== undefined && source !== undefined) return `${source}:${last[3]}`
  }
  return undefined
}

/** Makes a call whose error, should there be one, is going to be known with the stack of this moment. */
export function noteCaller<T>(sites: CallSites, call: () => T): T
export function noteCaller(sites: CallSites, call: () => unknown): unknown {
  const { stack = '' } = new Error('called here')
  const result = call()
  if (!(result instanceof Promise)) return result
  return result.catch((error: unknown) => {
    if (error instanceof Error) sites.set(error, stack)
    throw error
  })
}

/** The same machine, with every call that fails noting where it was made. The clock's are not worth it. */
export function watchCalls(sys: Sys, sites: CallSites): Sys {
  return {
    clock: sys.clock,
    files: watchRoom(sys.files, sites),
    mounts: watchRoom(sys.mounts, sites),
    modules: watchRoom(sys.modules, sites),
    devices: watchRoom(sys.devices, sites),
    network: watchRoom(sys.network, sites),
    pipelines: watchRoom(sys.pipelines, sites),
    packages: watchRoom(sys.packages, sites),
    processes: watchRoom(sys.processes, sites),
    consoles: watchRoom(sys.consoles, sites),
    supervisor: watchRoom(sys.supervisor, sites),
  }
}

function watchRoom<R extends object>(room: R, sites: CallSites): R {
  const watched: R = Object.create(room)
  for (const name of methodsOf(room)) {
    const method: unknown = Reflect.get(room, name)
    if (typeof method !== 'function') continue
    const value = (...words: unknown[]) => {
      const call = (): unknown => Reflect.apply(method, room, words)
      return noteCaller(sites, call)
    }
    Object.defineProperty(watched, name, { value })
  }
  return watched
}

/** Those of its class, too: the rooms of a machine in a test have one. */
function methodsOf(room: object): Set<string> {
  const names = new Set<string>()
  for (let at: unknown = room; at instanceof Object && at !== Object.prototype; ) {
    for (const name of Object.getOwnPropertyNames(at)) if (name !== 'constructor') names.add(name)
    at = Object.getPrototypeOf(at)
  }
  return names
}
