/**
 * An image of a whole root (squashfs or erofs) that travels with the initrd: either at its end, as a cpio archive of
 * its own that is never compressed again, or as a second file that iPXE fetches and puts beside it.
 */

import { createHash } from 'node:crypto'
import { closeSync, createReadStream, openSync, readSync, statSync } from 'node:fs'
import { basename, normalize } from 'node:path'
import { largestFile } from './cpio.ts'
import { CommandError, errnoOf } from './error.ts'

/** What is asked for. */
export interface RootImageRequest {
  readonly source: string
  /** Where the booted initrd has it; absolute. */
  readonly destination: string
  /** `appended` to the initrd, or `beside` it, for iPXE's second `initrd` command. */
  readonly placed: 'appended' | 'beside'
}

export interface RootImage extends RootImageRequest {
  readonly type: 'squashfs' | 'erofs'
  /** Bytes. */
  readonly size: number
  /** Of the directory that is served, where it is beside the initrd. */
  readonly fileName: string
}

/** Where the image is in the initrd unless told: what the Gentoo PXE boot calls it. */
export const imagePlace = '/image.squashfs'

/** Throws a `CommandError` for what cannot be booted. */
export function readRootImage({ source, destination, placed }: RootImageRequest): RootImage {
  const path = normalize(destination)
  if (!path.startsWith('/') || path.endsWith('/') || /\s/.test(path)) {
    throw new CommandError(`'${destination}' is no absolute path that a kernel command line can name`)
  }
  const fileName = basename(path)
  if (placed === 'beside' && path !== `/${fileName}`) {
    throw new CommandError(`iPXE makes no directories for ${path}`, {
      advice: [
        `Put the image at the top, as ${source}=/${fileName}, or let it be appended: leave --image-beside out.`,
      ],
    })
  }
  if (placed === 'beside' && ['vmlinuz', 'initrd', 'boot.ipxe'].includes(fileName)) {
    throw new CommandError(`the image cannot be called ${fileName}: another file of the directory is`)
  }
  const { type, size } = inspectImage(source)
  if (size > largestFile) {
    throw new CommandError(
      `${source} has ${(size / 2 ** 30).toFixed(2)} GiB, and a file in an initrd at most 4 GiB`,
      {
        advice: [
          'Serve it by itself: root=live:http://SERVER/IMAGE on the kernel command line, or root=live:nfs:….',
        ],
      },
    )
  }
  return { source, destination: path, placed, fileName, type, size }
}

/** What the first blocks say: the type, and that the file is not cut off. Throws a `CommandError`. */
export function inspectImage(
  source: string,
  advice: readonly string[] = ['Make one of a directory: mksquashfs DIRECTORY image.squashfs -comp zstd'],
): { readonly type: RootImage['type']; readonly size: number } {
  const { size, head } = readHead(source)
  const described = describeImage(head)
  if (described === undefined) {
    throw new CommandError(`${source} is neither a squashfs nor an erofs image`, { advice })
  }
  if (size < described.length) {
    throw new CommandError(
      `${source} is cut off: it has ${size} bytes, and its first block says ${described.length}`,
      {
        advice: ['Copy it again, and compare its digest with the original.'],
      },
    )
  }
  return { type: described.type, size }
}

/** The kernel's Documentation/filesystems/squashfs.rst (super block of version 4) and fs/erofs/erofs_fs.h. */
function describeImage(head: Buffer): { type: RootImage['type']; length: number } | undefined {
  if (head.length >= 48 && head.toString('latin1', 0, 4) === 'hsqs') {
    return { type: 'squashfs', length: Number(head.readBigUInt64LE(40)) }
  }
  if (head.length >= 1024 + 40 && head.readUInt32LE(1024) === 0xe0f5e1e2) {
    const blockBits = head.readUInt8(1024 + 12)
    return { type: 'erofs', length: head.readUInt32LE(1024 + 36) * 2 ** blockBits }
  }
  return undefined
}

function readHead(path: string): { size: number; head: Buffer } {
  try {
    const status = statSync(path)
    if (!status.isFile()) throw new CommandError(`${path} is no file: an image is wanted`)
    const descriptor = openSync(path, 'r')
    try {
      const bytes = Buffer.alloc(4096)
      return { size: status.size, head: bytes.subarray(0, readSync(descriptor, bytes, 0, bytes.length, 0)) }
    } finally {
      closeSync(descriptor)
    }
  } catch (cause) {
    if (errnoOf(cause) === undefined) throw cause
    throw new CommandError(`the image ${path} could not be read`, { cause })
  }
}

/** Lower-case hex, of a file of any size, or of its first `length` bytes. `onRead`: how many have been read. */
export async function sha256Of(
  path: string,
  length = Number.POSITIVE_INFINITY,
  onRead: (bytes: number) => void = () => {},
): Promise<string> {
  const hash = createHash('sha256')
  if (length > 0) {
    let read = 0
    const chunks: AsyncIterable<Buffer> = createReadStream(path, { end: length - 1, highWaterMark: 1 << 20 })
    for await (const chunk of chunks) {
      hash.update(chunk)
      read += chunk.length
      onRead(read)
    }
  }
  return hash.digest('hex')
}

/** What the Gentoo PXE boot gives its kernel, for this image. */
export function imageCommandLine({ destination, type }: RootImage): string {
  return `root=/dev/ram0 init=/linuxrc looptype=${type} loop=${destination} cdroot`
}

/** What in a command line of somebody's own would keep the image from being booted. */
export function imageWarnings(image: RootImage, commandLine: string): string[] {
  const words = commandLine.split(/\s+/)
  const names = words.some((word) => /^loop=|^root=live:\//.test(word))
  const large = words.some((word) => /^(root|rootfstype)=/.test(word))
  return [
    ...(names
      ? []
      : [
          `the command line names no image: add ${imageCommandLine(image)}, or root=live:${image.destination}`,
        ]),
    ...(large
      ? []
      : [
          'without root= the kernel gives an initramfs half of the memory at most: add rootfstype=ramfs for a large image',
        ]),
  ]
}
