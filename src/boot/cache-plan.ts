/** diskless.cache=, diskless.cache_size=: the local disk that keeps what this boot fetched for the next. Pure. */
import { BootError } from '../sys/error.ts'
import { parseBytes } from './bytes.ts'
import { type PlaceOnDevice, parsePlaceOnDevice } from './device.ts'
import type { Settings } from './settings.ts'

export interface CachePlan {
  readonly place: PlaceOnDevice
  /** The most that it may hold, bytes; undefined: half of its file system. */
  readonly bytes: number | undefined
}

export function planCache(settings: Settings): CachePlan | undefined {
  const text = settings.text('diskless.cache')
  if (text === undefined) return undefined
  const place = parsePlaceOnDevice(text)
  if (place === undefined || place.path !== undefined) {
    throw new BootError(`diskless.cache=${text} names no device`, {
      advice: ['write it as diskless.cache=DEVICE[:FSTYPE], DEVICE also as LABEL=… or UUID=…'],
    })
  }
  const limit = settings.text('diskless.cache_size')
  const bytes = limit === undefined ? undefined : parseBytes(limit)
  if (limit !== undefined && bytes === undefined) {
    throw new BootError(`diskless.cache_size=${limit} is not a size`, {
      advice: ['it looks like 512M or 2G'],
    })
  }
  return { place, bytes }
}
