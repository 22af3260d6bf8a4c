/**
 * A medium of a file server that does not answer: a tmpfs in its place, with the files that the last good boot used. What
 * looks for repositories, overlays and the modloop there, this program and the new system's, finds them as ever.
 */
import { showBytes } from '../boot/format.ts'
import { availableMemory, type RootEvents } from '../root/mounted.ts'
import { BootError, hasCode, type Sys } from '../sys/index.ts'
import type { Cache, HeldFile } from './fetch.ts'
import { damage, exactly } from './request.ts'

const source = 'cache'

/** Of an earlier try: the server may be back. */
export async function unmountStandIn(sys: Pick<Sys, 'mounts'>, target: string): Promise<void> {
  const stands = (await sys.mounts.list()).some(
    (entry) => entry.target === target && entry.source === source && entry.type === 'tmpfs',
  )
  if (stands) await sys.mounts.unmount(target)
}

/** Undefined: the cache has nothing of it. Rejects with a BootError: a copy is damaged, or there is too little memory. */
export async function mountStandIn(
  sys: Sys,
  cache: Cache,
  target: string,
  { signal, onProgress }: Pick<RootEvents, 'signal' | 'onProgress'>,
): Promise<{ readonly files: number; readonly bytes: number } | undefined> {
  const held = cache.heldOf(target)
  if (held.length === 0) return undefined
  const bytes = held.reduce((sum, { entry }) => sum + entry.bytes, 0)
  const available = await availableMemory(sys)
  // The packages are unpacked besides.
  if (bytes > available / 2) {
    throw new BootError(
      `the last good state, ${showBytes(bytes)} of the medium, does not fit into half of the memory that is left, ${showBytes(available / 2)}`,
      { advice: ['give the machine more memory'] },
    )
  }
  await sys.files.makeDirectory(target)
  // Whole pages, and what its directories take.
  const size = bytes + held.length * 8192 + 2 ** 20
  const options = ['mode=0755', 'nosuid', 'nodev', `size=${size}`]
  await sys.mounts.mount({ type: 'tmpfs', source, target, options })
  let done = 0
  for (const file of held) {
    await restore(sys, cache, file, signal)
    done += file.entry.bytes
    onProgress?.({ bytes: done, total: bytes })
  }
  for (const directory of repositoriesOf(held)) {
    await sys.files.writeText(`${directory}/.boot_repository`, '')
  }
  await sys.mounts.remount(target, [...options, 'ro'])
  cache.standIn()
  return { files: held.length, bytes }
}

async function restore(
  sys: Sys,
  cache: Cache,
  { path, entry }: HeldFile,
  signal: AbortSignal,
): Promise<void> {
  const object = await cache.pathOf(entry)
  const damaged = (cause?: unknown) =>
    new BootError(`the cache’s copy of ${path} is damaged, and its server does not answer`, {
      cause,
      advice: ['the last good state cannot be booted without it: start the server'],
    })
  if (object === undefined) throw damaged()
  await sys.files.makeDirectory(path.slice(0, path.lastIndexOf('/')))
  try {
    await sys.pipelines.run<'file'>(
      {
        source: { kind: 'file', path: object },
        filters: exactly(entry),
        sink: { kind: 'file', path, mode: 0o644 },
      },
      { signal },
    )
  } catch (cause) {
    if (!hasCode(cause, ...damage)) throw cause
    throw damaged(cause)
  }
}

/** Directories that held `ARCHITECTURE/APKINDEX.tar.gz`. */
function repositoriesOf(held: readonly HeldFile[]): readonly string[] {
  const found = held.flatMap(({ path }) => /^(.*)\/[^/]+\/APKINDEX\.tar\.gz$/.exec(path)?.[1] ?? [])
  return [...new Set(found)]
}
