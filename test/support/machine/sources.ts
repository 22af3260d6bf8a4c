/** Where the fake machine finds its media: block devices, loop devices on images, exports of servers. */

import type { ErrorCode } from '../../../src/sys/index.ts'
import { hasCode } from '../../../src/sys/index.ts'
import { refusal } from './faults.ts'
import type { Media } from './media.ts'
import type { MountTree, Place } from './tree.ts'

/** What a path or an export leads to. `media` undefined: a device with nothing on it that anybody knows. */
export interface Found {
  readonly media: Media | undefined
  readonly readOnly: boolean
}

export interface Loop {
  readonly device: string
  readonly file: string
  readonly readOnly: boolean
  readonly media: Media | undefined
  /** Devices of its partitions, in order. */
  readonly partitions: readonly string[]
}

export class Sources {
  /** Loop devices by name (`/dev/loop0`). */
  readonly loops = new Map<string, Loop>()
  readonly #tree: MountTree
  readonly #media: ReadonlyMap<string, Media>
  readonly #images: ReadonlyMap<string, Media>
  readonly #missing: (path: string) => boolean

  /** `missing`: devices that are scripted and not there now. */
  constructor(options: {
    readonly tree: MountTree
    readonly media: ReadonlyMap<string, Media>
    /** By the text in the image's file, wherever that is. */
    readonly images: ReadonlyMap<string, Media>
    readonly missing: (path: string) => boolean
  }) {
    this.#tree = options.tree
    this.#media = options.media
    this.#images = options.images
    this.#missing = options.missing
  }

  /** What an export's name (`SERVER:/PATH`) leads to. */
  exported(name: string): Media | undefined {
    return this.#media.get(name)
  }

  /** Whether any export of this server is known. */
  serves(server: string): boolean {
    return [...this.#media.keys()].some((source) => source.startsWith(`${server}:/`))
  }

  /** What a block device holds. Throws ENOENT, and ENOTBLK for what is none. */
  device(operation: string, path: string): Found {
    const place = this.#place(operation, path)
    const names = [path, ...(place === undefined ? [] : [place.outer])]
    for (const name of names) {
      if (this.#missing(name)) throw refusal('ENOENT', operation, path)
      const loop = this.#loopOf(name)
      if (loop !== undefined) return loop
    }
    const kind = place?.stats?.kind
    if (kind === 'file' || kind === 'directory' || kind === 'char') {
      throw refusal('ENOTBLK', operation, path, 'Block device required')
    }
    const media = names.map((name) => this.#media.get(name)).find((each) => each !== undefined)
    if (media === undefined && kind !== 'block') throw refusal('ENOENT', operation, path)
    return { media, readOnly: media?.readOnly ?? false }
  }

  isWriteProtected(source: string): boolean {
    return this.#loopOf(source)?.readOnly ?? this.#media.get(source)?.readOnly ?? false
  }

  /** What a block device, or a file with an image, holds. Throws ENOENT, EISDIR, EINVAL. */
  readable(operation: string, path: string): Found {
    const place = this.#place(operation, path)
    const refused: Readonly<Record<string, ErrorCode>> = { directory: 'EISDIR', char: 'EINVAL' }
    const code = refused[place?.stats?.kind ?? '']
    if (code !== undefined) throw refusal(code, operation, path)
    if (place?.stats?.kind !== 'file') return this.device(operation, path)
    return { media: this.#image(path, place), readOnly: false }
  }

  /** Makes a loop device of a file. */
  attach(file: string, options: { readonly readOnly: boolean; readonly partitions?: boolean }): Loop {
    const operation = 'devices.attachLoop'
    const place = this.#tree.existing(operation, file)
    if (place.stats.kind === 'directory') throw refusal('EISDIR', operation, file)
    if (place.stats.kind !== 'file') throw refusal('EINVAL', operation, file)
    const onReadOnly = place.mount.options.includes('ro') || place.mount.fileSystem.readOnly
    if (onReadOnly && !options.readOnly) throw refusal('EROFS', operation, file)
    const media = this.#image(file, place)
    let number = 0
    while (this.loops.has(`/dev/loop${number}`)) number += 1
    const device = `/dev/loop${number}`
    const partitions = (options.partitions ? (media?.partitions ?? []) : []).map(
      (_, index) => `${device}p${index + 1}`,
    )
    const loop = { device, file: place.outer, readOnly: options.readOnly, media, partitions }
    this.loops.set(device, loop)
    return loop
  }

  #loopOf(device: string): Found | undefined {
    for (const loop of this.loops.values()) {
      const { readOnly, media } = loop
      if (loop.device === device) return { media, readOnly }
      const partition = loop.partitions.indexOf(device)
      if (partition !== -1) return { media: media?.partitions?.[partition], readOnly }
    }
    return undefined
  }

  #image(path: string, place: Place): Media | undefined {
    const named = this.#media.get(path) ?? this.#media.get(place.outer)
    return named ?? this.#images.get(place.mount.fileSystem.read(place.inner).toString('utf8'))
  }

  #place(operation: string, path: string): Place | undefined {
    try {
      return this.#tree.walk(operation, path)
    } catch (error) {
      if (hasCode(error, 'ENOENT', 'ENOTDIR')) return undefined
      throw error
    }
  }
}
