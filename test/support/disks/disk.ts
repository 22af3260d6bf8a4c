/** Whole disks: a partition table by sfdisk(8), and filesystem images in its partitions. */

import { statSync, truncateSync, writeFileSync } from 'node:fs'
import { cached, tool } from './cache.ts'
import { type FileSystem, makeFileSystem } from './filesystem.ts'

export interface Partition {
  /** An image, or what to make one of. */
  readonly content: string | FileSystem
  /** gpt: PARTLABEL. */
  readonly label?: string
  /** gpt: PARTUUID. In dos it is the disk's `id` and the partition's number. */
  readonly uuid?: string
  /** As sfdisk takes it; Linux unless told: `uefi`, `swap`, a GUID, or in dos a hexadecimal number. */
  readonly type?: string
}

export interface PartitionedDisk {
  readonly table: 'gpt' | 'dos'
  /** The table's own: a UUID, or in dos eight hexadecimal digits after 0x. */
  readonly id?: string
  readonly partitions: readonly Partition[]
}

const sector = 512
/** Where partitions may begin: at whole mebibytes. */
const step = 2048

/** The path of the image; its size is a power of two, as SD cards have to be. A guest that writes gets a copy. */
export async function makeDisk({ id, partitions, table }: PartitionedDisk): Promise<string> {
  const images: string[] = []
  for (const { content } of partitions)
    images.push(typeof content === 'string' ? content : await makeFileSystem(content))
  const sizes = images.map((image) => Math.ceil(statSync(image).size / sector))
  const starts: number[] = []
  let end = step
  for (const size of sizes) {
    starts.push(end)
    end += Math.ceil(size / step) * step
  }
  const script = [
    `label: ${table}`,
    ...(id === undefined ? [] : [`label-id: ${id}`]),
    ...partitions.map(({ label, type, uuid }, at) =>
      [
        `start=${starts[at]}, size=${sizes[at]}`,
        ...(type === undefined ? [] : [`type=${type}`]),
        ...(uuid === undefined ? [] : [`uuid=${uuid}`]),
        ...(label === undefined ? [] : [`name="${label}"`]),
      ].join(', '),
    ),
  ].join('\n')
  const stamps = images.map((image) => `${image} ${statSync(image).mtimeMs}`)
  return cached('disk', [script, ...stamps], async (path) => {
    writeFileSync(path, '')
    // One step more, for the second table at a gpt disk's end.
    truncateSync(path, 2 ** Math.ceil(Math.log2((end + step) * sector)))
    await tool('sfdisk', ['--quiet', '--no-tell-kernel', path], `${script}\n`)
    for (const [at, image] of images.entries()) {
      const seek = `seek=${(starts[at] ?? 0) / step}`
      await tool('dd', [`if=${image}`, `of=${path}`, 'bs=1M', seek, 'conv=notrunc,sparse', 'status=none'])
    }
  })
}
