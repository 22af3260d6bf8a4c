/**
 * Everything that a kernel's modules say of themselves: read from their .modinfo, so that no depmod is needed and no
 * table of another machine is believed.
 */

import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { closeSync, existsSync, openSync, readdirSync, readFileSync, readSync, statSync } from 'node:fs'
import { basename, join } from 'node:path'
import { type Compression, decompress, missingProgram, splitCompression } from './compression.ts'
import { type ReadAt, readerOf, readModinfo } from './elf.ts'
import { CommandError } from './error.ts'
import { makeDirectory } from './make-directory.ts'
import { readOwnJson } from './own-json.ts'
import { writeWhole } from './write-whole.ts'

export interface Module {
  /** As lsmod prints it, with underscores. */
  readonly name: string
  /** Below the modules directory, without compression: `kernel/drivers/net/virtio_net.ko`. */
  readonly path: string
  readonly compression: Compression
  readonly aliases: readonly string[]
  readonly depends: readonly string[]
  readonly before: readonly string[]
  readonly after: readonly string[]
  readonly firmware: readonly string[]
}

export interface Catalog {
  readonly directory: string
  readonly modules: ReadonlyMap<string, Module>
  /** Names of what the kernel has built in. */
  readonly builtin: ReadonlySet<string>
  /** The kernel's own modules.builtin, as it is; empty when there is none. */
  readonly builtinText: string
  /** What a name or an alias stands for, by modprobe's rules; empty when there is none. */
  resolve(name: string): readonly Module[]
  /** The module's file, decompressed. */
  read(module: Module): Buffer
  /** Seconds since 1970: when the newest module was made. */
  readonly newest: number
}

interface Found {
  readonly path: string
  readonly compression: Compression
  readonly size: number
  readonly mtime: number
}

/** The module's name for a file or a name: lsmod and modprobe do not tell `-` from `_`. */
export function moduleName(text: string): string {
  return basename(text)
    .replace(/\.ko(\.(gz|xz|zst))?$/, '')
    .replaceAll('-', '_')
}

export function readCatalog(directory: string, cache: string): Catalog {
  const files = findModuleFiles(directory)
  if (files.length === 0) {
    throw new CommandError(`${directory} holds not a single kernel module`, {
      advice: [
        'Its package is not whole, or this kernel has everything built in: take one with modules (linux-image-amd64, linux-lts).',
      ],
    })
  }
  const modules = new Map<string, Module>()
  for (const module of remembered(directory, files, cache)) modules.set(module.name, module)
  const { exact, patterns } = indexAliases(modules.values())
  const list = join(directory, 'modules.builtin')
  const builtinText = existsSync(list) ? readFileSync(list, 'utf8') : ''
  return {
    directory,
    modules,
    builtin: new Set(builtinText.split('\n').filter(Boolean).map(moduleName)),
    builtinText,
    resolve(name) {
      const wanted = name.replaceAll('-', '_')
      const byName = modules.get(wanted)
      if (byName !== undefined) return [byName]
      const byPattern = patterns
        .filter(({ expression }) => expression.test(wanted))
        .map(({ module }) => module)
      return [...new Set([...(exact.get(wanted) ?? []), ...byPattern])]
    },
    read(module) {
      const suffix = module.compression === 'none' ? '' : `.${module.compression}`
      const path = join(directory, module.path + suffix)
      return decompress(readFileSync(path), module.compression, path)
    },
    newest: Math.floor(Math.max(...files.map((file) => file.mtime)) / 1000),
  }
}

/** Sorted so that of two of one name the later wins: depmod prefers updates/ and extra/ to kernel/. */
function findModuleFiles(directory: string): Found[] {
  const found: Found[] = []
  for (const entry of readdirSync(directory, { recursive: true, withFileTypes: true })) {
    const { plain, compression } = splitCompression(entry.name)
    if (!entry.isFile() || !plain.endsWith('.ko')) continue
    const path = join(entry.parentPath, entry.name)
    const { size, mtimeMs } = statSync(path)
    const inside = join(entry.parentPath, plain).slice(directory.length + 1)
    found.push({ path: inside, compression, size, mtime: mtimeMs })
  }
  const rank = (path: string) => (path.startsWith('kernel/') ? 0 : path.startsWith('updates/') ? 2 : 1)
  return found.sort((a, b) => rank(a.path) - rank(b.path) || (a.path < b.path ? -1 : 1))
}

/** Reading some thousand files takes seconds when they are compressed: what they said is kept in the cache. */
function remembered(directory: string, files: readonly Found[], cache: string): Module[] {
  const key = createHash('sha256').update(`2\n${directory}\n`)
  for (const { path, compression, size, mtime } of files)
    key.update(`${path} ${compression} ${size} ${mtime}\n`)
  const place = join(cache, `modules-${key.digest('hex').slice(0, 32)}.json`)
  const known = existsSync(place) ? readOwnJson<Module[]>(place) : undefined
  if (known !== undefined) return known
  const modules = [
    ...files.filter(({ compression }) => compression !== 'xz').map((file) => describe(directory, file)),
    ...describeXz(
      directory,
      files.filter(({ compression }) => compression === 'xz'),
    ),
  ]
  makeDirectory(cache)
  writeWhole(place, JSON.stringify(modules))
  return modules
}

function describe(directory: string, file: Found): Module {
  const path = join(directory, file.path)
  if (file.compression !== 'none') {
    const compressed = `${path}.${file.compression}`
    return parse(file, readerOf(decompress(readFileSync(compressed), file.compression, compressed)))
  }
  const descriptor = openSync(path, 'r')
  try {
    return parse(file, (offset, length) => {
      const bytes = Buffer.alloc(length)
      return bytes.subarray(0, readSync(descriptor, bytes, 0, length, offset))
    })
  } finally {
    closeSync(descriptor)
  }
}

/** One xz for many files: what it writes is cut by the sizes that it lists. */
function* describeXz(directory: string, files: readonly Found[]): Generator<Module> {
  for (let start = 0; start < files.length; start += 200) {
    const batch = files.slice(start, start + 200)
    const paths = batch.map((file) => join(directory, `${file.path}.xz`))
    const sizes = xz(['--robot', '--list', ...paths])
      .toString('utf8')
      .split('\n')
      .filter((line) => line.startsWith('file\t'))
      .map((line) => Number(line.split('\t')[4]))
    const content = xz(['--decompress', '--stdout', ...paths])
    let offset = 0
    for (const [index, file] of batch.entries()) {
      const size = sizes[index] ?? Number.NaN
      yield parse(file, readerOf(content.subarray(offset, offset + size)))
      offset += size
    }
  }
}

function xz(options: string[]): Buffer {
  const result = spawnSync('xz', options, { maxBuffer: 2 * 1024 * 1024 * 1024 - 1 })
  if (result.error !== undefined) throw missingProgram('xz', 'xz-utils', 'xz', result.error)
  if (result.status !== 0) {
    throw new CommandError('xz could not read the kernel modules', {
      cause: new Error(result.stderr.toString().trim()),
    })
  }
  return result.stdout
}

function parse(file: Found, readAt: ReadAt): Module {
  try {
    const info = readModinfo(readAt)
    const all = (key: string) => info.filter(([name]) => name === key).map(([, value]) => value)
    const words = (text: string) => text.split(/[\s,]+/).filter(Boolean)
    const soft = all('softdep').map(splitSoftDependency)
    return {
      name: moduleName(file.path),
      path: file.path,
      compression: file.compression,
      aliases: all('alias'),
      depends: all('depends').flatMap(words).map(moduleName),
      before: soft.flatMap(({ before }) => before),
      after: soft.flatMap(({ after }) => after),
      firmware: all('firmware'),
    }
  } catch (error) {
    throw new CommandError(`${file.path} could not be read as a kernel module`, { cause: error })
  }
}

/** `pre: a b post: c` (modprobe.d(5)); older modules name what they want without saying when. */
function splitSoftDependency(text: string): { before: string[]; after: string[] } {
  const before: string[] = []
  const after: string[] = []
  let into = before
  for (const word of text.split(/\s+/).filter(Boolean)) {
    if (word === 'pre:') into = before
    else if (word === 'post:') into = after
    else into.push(word)
  }
  return { before, after }
}

function indexAliases(modules: Iterable<Module>) {
  const exact = new Map<string, Module[]>()
  const patterns: { expression: RegExp; module: Module }[] = []
  for (const module of modules) {
    for (const alias of module.aliases) {
      // Only what the kernel or a module asks for by name is looked up here, and no bus's identifiers.
      if (
        /^(pci|usb|hid|acpi\*?|of|input|dmi|cpu|mdio|i2c|spi|virtio|vmbus|pnp|hdaudio|sdio|wmi):/.test(alias)
      )
        continue
      const wanted = alias.replaceAll('-', '_')
      if (/[*?[]/.test(wanted)) patterns.push({ expression: globExpression(wanted), module })
      else exact.set(wanted, [...(exact.get(wanted) ?? []), module])
    }
  }
  return { exact, patterns }
}

/** fnmatch(3)'s `*`, `?` and `[…]`, as aliases use them. */
export function globExpression(glob: string): RegExp {
  const source = glob.replace(/\[[^\]]*\]|[*?]|[\\^$.|+(){}[\]]/g, (part) => {
    if (part === '*') return '.*'
    if (part === '?') return '.'
    return part.length > 1 ? part : `\\${part}`
  })
  return new RegExp(`^${source}$`)
}
