/** Lays out the initrd: what init, the kernel and the emergency shell expect to find where. */

import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join, normalize } from 'node:path'
import { type HookPlaces, placesPath } from '../src/init/hook-places.ts'
import { readBusybox } from './busybox.ts'
import type { Catalog } from './catalog.ts'
import type { Entry } from './cpio.ts'
import { CommandError } from './error.ts'
import type { Firmware } from './firmware.ts'
import { type Modloop, readInput } from './inputs.ts'
import { type Selection, writeTables } from './modules.ts'
import type { Shell } from './shell.ts'

export interface Parts {
  /** The standalone /init. */
  readonly init: Buffer
  /** The lease keeper's; undefined: nobody renews the lease of the new system. */
  readonly keeper: string | undefined
  readonly kernelVersion: string
  readonly catalog: Catalog
  readonly selection: Selection
  readonly firmware: Firmware
  /** Public keys of repositories, by file name. */
  readonly keys: ReadonlyMap<string, Buffer>
  /** Certificates that TLS trusts, PEM. */
  readonly certificates: Buffer | undefined
  readonly clientIdentity: Buffer | undefined
  /** Keymaps in busybox' format, by file name. */
  readonly keymaps: ReadonlyMap<string, Buffer>
  /** Public keys of those who sign overlays, by file name. */
  readonly overlayKeys: ReadonlyMap<string, Buffer>
  readonly modloop: Modloop | undefined
  /** Alpine's own signatures of modloops, by file name: the new system's modloop service reads them. */
  readonly modloopSignatures: ReadonlyMap<string, Buffer>
  /** What the lines of the hooks in /init's bundle were in their files; undefined: it has none. */
  readonly hooks: HookPlaces | undefined
  readonly files: readonly ExtraFile[]
  readonly shell: Shell
  /** diskless' own version. */
  readonly version: string
  /** Seconds since 1970: a clock that is behind this one is wrong. */
  readonly buildTime: number
}

/** `source`, a file or a directory, is put at `destination`, an absolute path. */
export interface ExtraFile {
  readonly source: string
  readonly destination: string
}

/** An entry, and the row of the size report that it counts in. */
export type Placed = Entry & { readonly part: string }

const emptyDirectories = [
  ...['dev', 'proc', 'sys', 'run', 'sysroot', 'media', 'mnt', 'etc', 'lib', 'bin', 'sbin', 'usr', 'var'],
]
/** Commands of the emergency shell that init itself answers. */
const shellCommands = ['retry', 'log', 'plan', 'timeline']

export function layOut(parts: Parts): Map<string, Placed> {
  const tree = new Map<string, Placed>()
  const put = (part: string, name: string, entry: Entry) => tree.set(name, { ...entry, part })
  const file = (part: string, name: string, bytes: Uint8Array, mode = 0o644) =>
    put(part, name, { kind: 'file', mode, bytes })

  for (const name of emptyDirectories) put('layout', name, { kind: 'directory', mode: 0o755 })
  put('layout', 'root', { kind: 'directory', mode: 0o700 })
  put('layout', 'tmp', { kind: 'directory', mode: 0o1777 })
  // Needed before devtmpfs is mounted: the kernel opens the one, Rust's runtime the other.
  put('layout', 'dev/console', { kind: 'character', mode: 0o600, major: 5, minor: 1 })
  put('layout', 'dev/null', { kind: 'character', mode: 0o666, major: 1, minor: 3 })

  file('init', 'init', parts.init, 0o755)
  if (parts.keeper !== undefined)
    file('lease keeper', 'sbin/diskless-lease', readFileSync(parts.keeper), 0o755)
  // Where the kernel itself asks for modules (CONFIG_MODPROBE_PATH).
  put('layout', 'sbin/modprobe', { kind: 'symlink', target: '/init' })
  if (parts.shell.kind !== 'none') {
    file('busybox', 'bin/busybox', readBusybox(), 0o755)
    put('layout', 'bin/sh', { kind: 'symlink', target: 'busybox' })
    for (const name of shellCommands) put('layout', `bin/${name}`, { kind: 'symlink', target: '/init' })
  }
  const { buildTime, version, shell, modloop } = parts
  const config = { buildTime, version, shell, ...(modloop === undefined ? {} : { modloop }) }
  file('layout', 'etc/diskless/config.json', Buffer.from(`${JSON.stringify(config)}\n`), 0o600)

  if (parts.hooks !== undefined) {
    file('hooks', placesPath.slice(1), Buffer.from(`${JSON.stringify(parts.hooks)}\n`))
  }

  for (const [name, bytes] of parts.keys) file('keys', `etc/apk/keys/${name}`, bytes)
  for (const [name, bytes] of parts.overlayKeys) file('keys', `etc/diskless/overlay-keys/${name}`, bytes)
  for (const [name, bytes] of parts.modloopSignatures) file('keys', `var/cache/misc/${name}`, bytes)
  for (const [name, bytes] of parts.keymaps) file('keymaps', `lib/keymaps/${name}`, bytes)
  if (parts.certificates !== undefined) file('certificates', 'etc/ssl/cert.pem', parts.certificates)
  if (parts.clientIdentity !== undefined) {
    file('certificates', 'etc/diskless/client.pem', parts.clientIdentity, 0o600)
  }

  const modules = `lib/modules/${parts.kernelVersion}`
  for (const module of parts.selection.modules) {
    const group = parts.selection.reason.get(module) ?? module.name
    file(`modules: ${group}`, `${modules}/${module.path}`, parts.catalog.read(module))
  }
  for (const [name, text] of writeTables(parts.catalog, parts.selection.modules)) {
    file('modules: tables', `${modules}/${name}`, Buffer.from(text))
  }
  for (const [name, bytes] of parts.firmware.files) file('firmware', `lib/firmware/${name}`, bytes)
  // For the message when a card does not work. A machine's own disks are another matter.
  const missing = [...parts.firmware.missing].filter(([, module]) => isCardDriver(parts.selection, module))
  if (missing.length > 0) {
    const lines = missing.map(([name, module]) => `${module} ${name}\n`)
    file('layout', 'etc/diskless/missing-firmware', Buffer.from(lines.join('')))
  }
  for (const extra of parts.files) {
    for (const [name, entry] of readExtra(extra)) {
      refuseInTheWay(tree, extra, name, entry)
      put('files', name, entry)
    }
  }
  return tree
}

/** A file of a site's own never takes the place of what the boot is made of, nor a directory's. */
function refuseInTheWay(
  tree: ReadonlyMap<string, Placed>,
  { source }: ExtraFile,
  name: string,
  entry: Entry,
): void {
  const parts = name.split('/')
  const above = parts.slice(1).map((_, at) => parts.slice(0, at + 1).join('/'))
  const blocked = above.find((each) => (tree.get(each)?.kind ?? 'directory') !== 'directory')
  const present = tree.get(name)
  if (blocked === undefined && (present === undefined || present.part === 'files')) return
  if (blocked === undefined && present?.kind === 'directory' && entry.kind === 'directory') return
  throw new CommandError(`--file ${source}=/${name}: the initrd has its own /${blocked ?? name}`, {
    advice: ['Choose another place in it.'],
  })
}

function isCardDriver({ modules }: Selection, name: string): boolean {
  return modules.some((module) => module.name === name && module.path.startsWith('kernel/drivers/net/'))
}

function* readExtra({ source, destination }: ExtraFile): Generator<[string, Entry]> {
  const name = normalize(destination).replace(/^\/+|\/+$/g, '')
  if (!destination.startsWith('/') || name === '' || destination.split('/').includes('..')) {
    throw new CommandError(`'${destination}' is no absolute path inside the initrd`)
  }
  yield* readTree(source, name)
}

function* readTree(source: string, name: string): Generator<[string, Entry]> {
  let status: ReturnType<typeof statSync>
  try {
    status = statSync(source)
  } catch (cause) {
    throw new CommandError(`the file ${source} could not be read`, { cause })
  }
  if (status.isDirectory()) {
    for (const child of readdirSync(source).sort()) yield* readTree(join(source, child), `${name}/${child}`)
  } else {
    // A FIFO would be waited for, and /dev/zero never end.
    if (!status.isFile()) throw new CommandError(`${source} is neither a file nor a directory`)
    // Whoever checked the file out decides only whether it can be executed.
    const mode = (status.mode & 0o111) === 0 ? 0o644 : 0o755
    yield [name, { kind: 'file', mode, bytes: readInput(source) }]
  }
}
