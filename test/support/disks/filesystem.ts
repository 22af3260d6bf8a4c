/** Filesystem images by the real mkfs programs, filled without mounting them where the programs can. */

import { mkdirSync, readdirSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { cached, tool } from './cache.ts'

export type FileSystemType =
  | 'ext2'
  | 'ext3'
  | 'ext4'
  | 'btrfs'
  | 'xfs'
  | 'f2fs'
  | 'vfat'
  | 'exfat'
  | 'ntfs'
  | 'iso9660'
  | 'squashfs'
  | 'erofs'

export interface FileSystem {
  readonly type: FileSystemType
  /** Not for squashfs and erofs, which have none (erofs of Debian 12). */
  readonly label?: string
  /** As blkid(8) writes it; not for ntfs (made by chance) and squashfs (has none). */
  readonly uuid?: string
  /** By path in the filesystem. ntfs: only in its root. */
  readonly files?: Readonly<Record<string, Buffer | string>>
  /** Bytes; the least that the program takes, unless told. Those that are only read are as large as they get. */
  readonly size?: number
  /** For the mkfs program, before the image's path. */
  readonly options?: readonly string[]
}

interface Job {
  readonly image: string
  /** A directory with the files. */
  readonly tree: string
  readonly scratch: string
  readonly label: string | undefined
  readonly uuid: string | undefined
  readonly options: readonly string[]
}

const MiB = 1024 * 1024

const makers: Readonly<Record<FileSystemType, { readonly size: number; make(job: Job): Promise<void> }>> = {
  ext2: { size: 16 * MiB, make: (job) => makeExt('ext2', job) },
  ext3: { size: 16 * MiB, make: (job) => makeExt('ext3', job) },
  ext4: { size: 16 * MiB, make: (job) => makeExt('ext4', job) },
  btrfs: {
    size: 128 * MiB,
    make: ({ image, label, options, tree, uuid }) =>
      run('mkfs.btrfs', '-q', '-f', flag('-L', label), flag('-U', uuid), '--rootdir', tree, options, image),
  },
  xfs: { size: 320 * MiB, make: makeXfs },
  f2fs: { size: 64 * MiB, make: makeF2fs },
  vfat: { size: 16 * MiB, make: makeVfat },
  exfat: { size: 16 * MiB, make: makeExfat },
  ntfs: { size: 16 * MiB, make: makeNtfs },
  iso9660: {
    size: 0,
    make: ({ image, label, options, tree, uuid }) => {
      // Its UUID is the time at which it was made, to the hundredth of a second.
      const date = uuid && `--modification-date=${uuid.replaceAll('-', '')}`
      const names = ['-R', '-J', flag('-V', label), date ?? []].flat()
      return run('xorriso', '-as', 'mkisofs', '-quiet', names, options, '-o', image, tree)
    },
  },
  squashfs: {
    size: 0,
    make: ({ image, label, options, tree, uuid }) => {
      refuse('squashfs', { label, uuid })
      return run('mksquashfs', tree, image, '-noappend', '-quiet', '-no-progress', '-all-root', options)
    },
  },
  erofs: {
    size: 0,
    make: ({ image, label, options, tree, uuid }) => {
      refuse('erofs', { label })
      return run('mkfs.erofs', '-d0', flag('-U', uuid), options, image, tree)
    },
  },
}

/** The path of the image. Others may use it too: a guest that writes gets a copy (`copyTo`). */
export function makeFileSystem(wanted: FileSystem): Promise<string> {
  const { files = {}, label, options = [], type, uuid } = wanted
  const { make, size: usual } = makers[type]
  const size = wanted.size ?? usual
  const about = JSON.stringify([1, type, label, uuid, size, options])
  return cached(type, [about, ...Object.entries(files).flat()], async (image, scratch) => {
    const tree = join(scratch, 'tree')
    mkdirSync(tree)
    for (const [path, content] of Object.entries(files)) {
      const at = join(tree, path)
      mkdirSync(dirname(at), { recursive: true })
      writeFileSync(at, content)
    }
    if (usual > 0) {
      writeFileSync(image, '')
      truncateSync(image, size)
    }
    await make({ image, tree, scratch, label, uuid, options })
  })
}

async function run(program: string, ...words: readonly (string | readonly string[])[]): Promise<void> {
  await tool(program, words.flat())
}

function flag(name: string, value: string | undefined): readonly string[] {
  return value === undefined ? [] : [name, value]
}

function refuse(type: string, words: Readonly<Record<string, unknown>>): void {
  for (const [name, value] of Object.entries(words))
    if (value !== undefined) throw new Error(`${type} cannot be given a ${name}`)
}

function makeExt(type: string, { image, label, options, tree, uuid }: Job): Promise<void> {
  return run(`mkfs.${type}`, '-q', '-F', flag('-L', label), flag('-U', uuid), '-d', tree, options, image)
}

/** By a prototype file (mkfs.xfs(8), -p): a line for each file, `$` where a directory ends. */
function makeXfs({ image, label, options, scratch, tree, uuid }: Job): Promise<void> {
  const lines = (directory: string): string[] =>
    readdirSync(directory).flatMap((name) => {
      if (/\s/.test(name)) throw new Error(`mkfs.xfs takes no white space in names: '${name}'`)
      const path = join(directory, name)
      return statSync(path).isDirectory()
        ? [`${name} d--755 0 0`, ...lines(path), '$']
        : [`${name} ---644 0 0 ${path}`]
    })
  const prototype = join(scratch, 'prototype')
  writeFileSync(prototype, `${['/dev/null', '0 0', 'd--755 0 0', ...lines(tree), '$'].join('\n')}\n`)
  const id = flag('-m', uuid && `uuid=${uuid}`)
  return run('mkfs.xfs', '-q', '-f', flag('-L', label), id, '-p', prototype, options, image)
}

async function makeF2fs({ image, label, options, tree, uuid }: Job): Promise<void> {
  await run('mkfs.f2fs', '-q', '-f', flag('-l', label), flag('-U', uuid), options, image)
  if (readdirSync(tree).length > 0) await run('sload.f2fs', '-f', tree, image)
}

async function makeVfat({ image, label, options, tree, uuid }: Job): Promise<void> {
  await run('mkfs.vfat', flag('-n', label), flag('-i', uuid?.replace('-', '')), options, image)
  const names = readdirSync(tree)
  if (names.length > 0)
    await run(
      'mcopy',
      '-s',
      '-i',
      image,
      names.map((name) => join(tree, name)),
      '::/',
    )
}

/** No program fills one: the host's kernel has to. */
async function makeExfat({ image, label, options, scratch, tree, uuid }: Job): Promise<void> {
  await run('mkfs.exfat', flag('-L', label), flag('-U', uuid), options, image)
  if (readdirSync(tree).length === 0) return
  if (!/\bexfat$/m.test(readFileSync('/proc/filesystems', 'utf8')))
    throw new Error('files cannot be put into exfat: this kernel has no driver, and there is no other way')
  const mounted = join(scratch, 'mounted')
  mkdirSync(mounted)
  await run('mount', '-t', 'exfat', '-o', 'loop', image, mounted)
  try {
    await run('cp', '-r', `${tree}/.`, mounted)
  } finally {
    await run('umount', mounted)
  }
}

async function makeNtfs({ image, label, options, tree, uuid }: Job): Promise<void> {
  refuse('ntfs', { uuid })
  await run('mkntfs', '-F', '-Q', '-q', flag('-L', label), options, image)
  for (const name of readdirSync(tree)) {
    if (statSync(join(tree, name)).isDirectory()) throw new Error(`ntfscp makes no directories: ${name}`)
    await run('ntfscp', '-q', image, join(tree, name), name)
  }
}
