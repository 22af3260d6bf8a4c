/** Where the image of a root comes from, and whether it is read in place or from memory. */

import { showDeviceName } from '../boot/device.ts'
import { showBytes } from '../boot/format.ts'
import { type NfsShare, showNfsShare } from '../boot/nfs.ts'
import type { ImageRootPlan, ImageSource } from '../boot/root-plan.ts'
import { mountDevice, waitForDevice } from '../media/device.ts'
import { mountNfs } from '../media/nfs.ts'
import { mountForGood } from '../media/nfs-reads.ts'
import { fetchPipeline, pipelineOptions, redactUrl, redactUrls } from '../network/fetch.ts'
import type { NetworkUp } from '../network/network-up.ts'
import { BootError, type Filter, hasCode, type Sys, SysError } from '../sys/index.ts'
import { availableMemory, imageMount, mediumMount, memoryForRoot, type RootEvents } from './mounted.ts'

/** The outer path of a file on any medium that there is; undefined: none has it. */
export type FindOnMedia = (path: string) => Promise<string | undefined>

export interface ImageFile {
  readonly path: string
  /** For a person: a URL without its password, `SERVER:/PATH`, a path and its device. */
  readonly from: string
  /** `initrd`: in memory since the kernel unpacked it. `nfs`: every read of the new system goes to the server. */
  readonly place: 'initrd' | 'memory' | 'medium' | 'nfs'
}

const deviceMs = 30_000
/** Like that of initramfs files; the new system does not see it. */
const mode = 0o400
const inMemory = `${imageMount}/root.img`

/** Rejects with a BootError. A digest has been checked when it resolves. */
export async function obtainImage(
  sys: Sys,
  plan: ImageRootPlan,
  network: NetworkUp | undefined,
  findOnMedia: FindOnMedia,
  events: RootEvents,
): Promise<ImageFile> {
  if (plan.image.kind === 'url') return fetchImage(sys, plan, plan.image.urls, events)
  const found = await findImage(sys, plan.image, network, findOnMedia, events)
  const size = await sizeOf(sys, found)
  if (found.place !== 'initrd' && (await wantsCopy(sys, plan, size))) {
    return copyImage(sys, plan, found, size, events)
  }
  if (plan.sha256 !== undefined) {
    await checked(found.from, () =>
      sys.pipelines.run<'discard'>(
        {
          source: { kind: 'file', path: found.path },
          filters: digestOf(plan),
          sink: { kind: 'discard' },
        },
        pipelineOptions(events),
      ),
    )
  }
  if (plan.image.kind === 'nfs') await mountForGood(sys, plan.image.share, events.onNotice)
  return found
}

function findImage(
  sys: Sys,
  image: Exclude<ImageSource, { kind: 'url' }>,
  network: NetworkUp | undefined,
  findOnMedia: FindOnMedia,
  events: RootEvents,
): Promise<ImageFile> {
  if (image.kind === 'nfs') return onShare(sys, image.share, image.path, network, events)
  if (image.medium === 'initrd') return inInitrd(sys, image.path)
  if (image.medium === 'any') return anywhere(sys, image.path, findOnMedia)
  return onDevice(sys, image.path, image.medium, events)
}

async function inInitrd(sys: Sys, path: string): Promise<ImageFile> {
  if (await isFile(sys, path)) return { path, from: path, place: 'initrd' }
  throw new BootError(`the image ${path} is not in the initrd`, {
    advice: [
      'put it in with diskless build --image FILE, or name what is appended to the initrd so (iPXE: initrd --name)',
    ],
  })
}

async function anywhere(sys: Sys, path: string, findOnMedia: FindOnMedia): Promise<ImageFile> {
  if (await isFile(sys, path)) return { path, from: path, place: 'initrd' }
  const found = await findOnMedia(path)
  if (found !== undefined) return { path: found, from: found, place: 'medium' }
  throw new BootError(`the image ${path} is neither in the initrd nor on any disk of this machine`, {
    advice: [
      'append it to the initrd (diskless build --image FILE), or name where it is: cdroot=DEVICE, root=live:URL',
    ],
  })
}

async function onDevice(
  sys: Sys,
  path: string,
  name: Parameters<typeof showDeviceName>[0],
  { onNotice, signal }: RootEvents,
): Promise<ImageFile> {
  const what = 'the medium of the image'
  const device = await waitForDevice(sys, name, { what, deadlineMs: deviceMs, onNotice, signal })
  await mountDevice(sys, device, { target: mediumMount, options: ['ro'] })
  const from = `${path} on ${device.path}`
  const file = await sys.files.resolveIn(mediumMount, path)
  if (file !== undefined && (await isFile(sys, file))) return { path: file, from, place: 'medium' }
  const { type = 'unknown' } = device.contents
  const isImage = type === 'squashfs' || type === 'erofs'
  throw new BootError(`there is no image ${from} (${type})`, {
    advice: [
      isImage
        ? `the device is the image itself: boot it with root=${showDeviceName(name)} rootfstype=${type} overlaytmpfs`
        : `at the top of it: ${(await sys.files.list(mediumMount)).slice(0, 10).join(', ') || 'nothing'}`,
    ],
  })
}

async function onShare(
  sys: Sys,
  share: NfsShare,
  path: string,
  network: NetworkUp | undefined,
  { onNotice, signal }: RootEvents,
): Promise<ImageFile> {
  const shown = showNfsShare({ ...share, server: share.server ?? network?.server })
  const from = `${shown.replace(/\/$/, '')}${path}`
  // nfsroot= may say rw, as it does for a root that is written to.
  const options = share.options.filter((option) => option !== 'rw' && option !== 'ro')
  await mountNfs(
    sys,
    { ...share, options },
    {
      target: mediumMount,
      options: ['ro'],
      defaultServer: network?.server,
      reads: 'fail',
      onNotice,
      signal,
    },
  )
  const file = await sys.files.resolveIn(mediumMount, path)
  if (file !== undefined && (await isFile(sys, file))) return { path: file, from, place: 'nfs' }
  throw new BootError(`there is no image ${from}`, {
    advice: [`what is mounted is ${shown}; the image is looked for there as ${path}`],
  })
}

async function isFile(sys: Pick<Sys, 'files'>, path: string): Promise<boolean> {
  return (await sys.files.status(path))?.kind === 'file'
}

async function sizeOf(sys: Pick<Sys, 'files'>, { path, from }: ImageFile): Promise<number> {
  const { size } = (await sys.files.status(path)) ?? { size: 0 }
  if (size > 0) return size
  throw new BootError(`the image ${from} is empty`, {
    advice: ['an interrupted upload? Copy it there again'],
  })
}

/** `auto`: where at least as much again is left for the new system. */
async function wantsCopy(sys: Pick<Sys, 'files'>, { copy }: ImageRootPlan, size: number): Promise<boolean> {
  return copy === 'ram' || (copy === 'auto' && size < (await availableMemory(sys)) / 2)
}

async function copyImage(
  sys: Sys,
  plan: ImageRootPlan,
  found: ImageFile,
  size: number,
  events: RootEvents,
): Promise<ImageFile> {
  const room = await memoryForRoot(sys)
  if (size > room) {
    throw new BootError(
      `the image ${found.from} has ${showBytes(size)}, and ${showBytes(room)} of memory are free for it`,
      { advice: ['give the machine more memory, or read the image in place: diskless.image=place'] },
    )
  }
  await mountImageMemory(sys, room)
  await checked(found.from, () =>
    sys.pipelines.run<'file'>(
      {
        source: { kind: 'file', path: found.path },
        filters: digestOf(plan),
        sink: { kind: 'file', path: inMemory, mode },
      },
      pipelineOptions(events),
    ),
  )
  return { path: inMemory, from: found.from, place: 'memory' }
}

async function fetchImage(
  sys: Sys,
  plan: ImageRootPlan,
  urls: readonly string[],
  events: RootEvents,
): Promise<ImageFile> {
  let from = redactUrls(urls)
  if (plan.copy === 'place') {
    throw new BootError(`diskless.image=place: an image from ${from} cannot be read in place`, {
      advice: ['leave it out, so that it is fetched into memory; over NFS it can be read in place'],
    })
  }
  const room = await memoryForRoot(sys)
  await mountImageMemory(sys, room)
  try {
    await fetchPipeline<'file'>(
      sys,
      {
        what: 'the image of the root',
        urls,
        // First, so that what the server announces is believed at once where it is too much.
        filters: [{ kind: 'limit', bytes: room }, ...digestOf(plan)],
        sink: { kind: 'file', path: inMemory, mode },
      },
      {
        ...pipelineOptions(events),
        onDelivered: (url) => {
          from = redactUrl(url)
        },
        onRetry: ({ attempt, of, error, waitMs }) =>
          events.onNotice(
            `the image: try ${attempt} of ${of} failed (${error.message}); again in ${(waitMs / 1000).toFixed(1)} s`,
          ),
        onBreak: ({ why, attempt, of, waitMs }) =>
          events.onNotice(
            `the image: the connection broke (${why}); goes on there in ${(waitMs / 1000).toFixed(1)} s, ${attempt} of ${of}`,
          ),
      },
    )
  } catch (error) {
    const cause = error instanceof BootError ? error.cause : error
    if (!hasCode(cause, 'TOO_BIG', 'ENOSPC')) throw error
    throw new BootError(
      `the image ${from} is larger than the memory of this machine: ${room} bytes (${showBytes(room)}) are free for it`,
      {
        cause: urls.length > 1 ? error : cause,
        advice: ['give the machine more memory, or leave the image on a file server: root=live:nfs:…'],
      },
    )
  }
  return { path: inMemory, from, place: 'memory' }
}

async function mountImageMemory(sys: Pick<Sys, 'files' | 'mounts'>, bytes: number): Promise<void> {
  await sys.files.makeDirectory(imageMount)
  await sys.mounts.mount({
    type: 'tmpfs',
    source: 'tmpfs',
    target: imageMount,
    options: ['mode=0700', `size=${bytes}`],
  })
}

function digestOf({ sha256 }: ImageRootPlan): readonly Filter[] {
  return sha256 === undefined ? [] : [{ kind: 'digest', algorithm: 'sha256', expected: sha256 }]
}

/** Reads the whole image. */
async function checked(from: string, read: () => Promise<unknown>): Promise<void> {
  try {
    await read()
  } catch (cause) {
    if (!(cause instanceof SysError) || hasCode(cause, 'ABORTED')) throw cause
    if (hasCode(cause, 'DIGEST')) {
      throw new BootError(`the image ${from} is not the one that diskless.image_sha256= means`, {
        cause,
        advice: ['it is damaged, or newer than the command line: compare sha256sum on the server'],
      })
    }
    throw new BootError(`the image ${from} could not be read`, {
      cause,
      advice: ['the medium may be dying, or its server stopped: copy the image there again'],
    })
  }
}
