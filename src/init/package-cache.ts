/** The package cache that the overlay’s etc/apk/cache leads to, on a medium. */
import { openCache, type PackageCache } from '../apk/cache.ts'
import { type Media, mountMedium } from '../media/media.ts'
import { placesOfMedia, presentPath, readFstab } from '../media/places.ts'
import { overlayKeys } from '../overlay/stage.ts'
import { sysroot } from '../root/ram.ts'
import { BootError, chainOf, hasCode, type Sys, SysError } from '../sys/index.ts'
import type { Report } from './story.ts'

export interface FoundCache {
  readonly cache: PackageCache | undefined
  /** With its medium. */
  readonly media: Media
}

/** Without one the boot goes on, as Alpine's does: what is not in a repository is told by the packages phase. */
export async function findCache(sys: Sys, found: Media, report: Report): Promise<FoundCache> {
  const path = await linkedPlace(sys)
  if (path === undefined) return { cache: undefined, media: found }
  try {
    const { directory, media } = await placeNow(sys, path, found, report)
    if (directory === undefined) return { cache: undefined, media }
    const trusted = Object.keys(await overlayKeys(sys)).length === 0
    const cache = await openCache(sys, directory, trusted)
    if (!trusted && cache.files.has('installed')) {
      report.note(`${directory}/installed is passed over: nobody signs it, and this initrd wants signatures`)
    }
    return { cache, media }
  } catch (error) {
    if (!(error instanceof BootError || error instanceof SysError) || hasCode(error, 'ABORTED')) throw error
    report.warn(`the package cache ${path} is left out: ${chainOf(error).join(': ')}`)
    return { cache: undefined, media: found }
  }
}

/** What etc/apk/cache says, in the new system. Undefined: there is no cache, or it is a directory of the root itself. */
async function linkedPlace(sys: Sys): Promise<string | undefined> {
  const directory = await sys.files.resolveIn(sysroot, '/etc/apk')
  if (directory === undefined) return undefined
  const link = `${directory}/cache`
  if ((await sys.files.status(link))?.kind !== 'symlink') return undefined
  const target = await sys.files.readLink(link)
  return target.startsWith('/') && !target.split('/').includes('..') ? target : undefined
}

/** Its medium is mounted for it, where fstab names one that is there. */
async function placeNow(sys: Sys, path: string, found: Media, report: Report) {
  const entries = await readFstab(sys, sysroot)
  const placed = async (media: Media) => {
    const outer = presentPath(path, await placesOfMedia(sys, entries, media.media), media.media)
    const root = media.media.find(({ target }) => outer === target || outer?.startsWith(`${target}/`))
    return outer === undefined || root === undefined
      ? undefined
      : sys.files.resolveIn(root.target, outer.slice(root.target.length) || '/')
  }
  const there = await placed(found)
  if (there !== undefined) return { directory: there, media: found }
  const entry = entries.find(({ mountPoint }) => path === mountPoint || path.startsWith(`${mountPoint}/`))
  const { notice: onNotice, warn: onWarning, signal } = report
  const events = { onNotice, onWarning, signal }
  const medium =
    entry === undefined || entry.mountPoint === '/'
      ? undefined
      : await mountMedium(sys, entry, 'the package cache’s medium', events)
  if (medium === undefined || found.media.some(({ name }) => name === medium.name)) {
    report.note(`etc/apk/cache leads to ${path}, which is not there: nothing is taken from it`)
    return { directory: undefined, media: found }
  }
  const media = { ...found, media: [...found.media, medium] }
  return { directory: await placed(media), media }
}
