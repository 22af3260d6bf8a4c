/**
 * Builds what a boot server serves: vmlinuz, initrd and boot.ipxe, in one directory. The same input gives the same
 * bytes; what an earlier build left there is taken when nothing that goes into it has changed.
 */

import { createHash } from 'node:crypto'
import { readFileSync, statSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { readCatalog } from './catalog.ts'
import type { Level } from './compression.ts'
import { CommandError } from './error.ts'
import { findFirmware } from './firmware.ts'
import { buildInitWith } from './hooks/index.ts'
import { buildKeeper, type Profile, refuseDynamic, type Tell } from './host.ts'
import { type ExtraFile, layOut } from './initrd.ts'
import {
  readInput,
  readKeymaps,
  readKeys,
  readModloop,
  readModloopSignatures,
  readOverlayKeys,
} from './inputs.ts'
import { writeBootScript } from './ipxe.ts'
import { findKernel, type Kernel } from './kernel.ts'
import { describeDrivers, driversOf } from './machine.ts'
import { makeDirectory } from './make-directory.ts'
import { checkModules, selectModules } from './modules.ts'
import { ownVersion } from './own-version.ts'
import { cacheDirectory } from './paths.ts'
import type { Report } from './report.ts'
import {
  imageCommandLine,
  imageWarnings,
  type RootImage,
  type RootImageRequest,
  readRootImage,
} from './root-image.ts'
import { type Shell, shellWithPassword } from './shell.ts'
import { type ClientIdentity, readAuthorities, readClientIdentity } from './tls.ts'
import { placeBeside, replace, writeInitrd } from './write-initrd.ts'

export { bundleInit } from './bundle.ts'
export { CommandError } from './error.ts'
export { buildHost, buildInit, type Profile } from './host.ts'
export { printReport, type Report } from './report.ts'
export { imagePlace, type RootImage, type RootImageRequest } from './root-image.ts'
export type { ExtraFile, Kernel, Level }

/** Who may use the emergency shell; the file holds a password or its hash (shell.ts). */
export type ShellOption = 'open' | 'none' | { readonly passwordFile: string }

export interface BuildOptions {
  /** A modules directory, a tree, a linux-image-*.deb, an Alpine linux-*.apk or a modloop. */
  readonly kernel: string
  /** The kernel image, where it is neither inside nor beside `kernel`. */
  readonly image?: string
  /** Groups (groups.ts) and modules by name. */
  readonly modules: readonly string[]
  /** The modaliases of the machine that is to boot: what its cards and disks need is added. */
  readonly machine?: readonly string[]
  /** Public keys of repositories: files, and directories of *.rsa.pub. */
  readonly keys?: readonly string[]
  /** Directories of firmware, besides the kernel's own. */
  readonly firmware?: readonly string[]
  /** A root that travels with the initrd. */
  readonly rootImage?: RootImageRequest
  /** The kernel command line in boot.ipxe; with a root image, unless told, one that boots it. */
  readonly commandLine?: string
  readonly shell?: ShellOption
  /** Files of keymaps in busybox' format: NAME.bmap or NAME.bmap.gz. */
  readonly keymaps?: readonly string[]
  /** Files with public keys of those who sign overlays; with one, an unsigned overlay is refused. */
  readonly overlayKeys?: readonly string[]
  /** The modloop that init is to accept. */
  readonly modloop?: string
  /** Files named MODLOOP.SIGN.RSA.KEY, as Alpine's initramfs has them. */
  readonly modloopSignatures?: readonly string[]
  /** A PEM file of the authorities that https trusts, or `public`. */
  readonly certificates?: string
  /** Who this machine is to servers that ask for a certificate. */
  readonly clientIdentity?: ClientIdentity
  readonly files?: readonly ExtraFile[]
  /** TypeScript files of hooks (src/init/hook.ts), in the order in which they run. Not with `init`. */
  readonly hooks?: readonly string[]
  /** The directory to write. */
  readonly out: string
  readonly cache?: string
  /** `release` unless told. */
  readonly profile?: Profile
  /** zstd's; 19 unless told, 3 in the `dev` profile. */
  readonly level?: Level
  /** A standalone /init to use instead of building one. */
  readonly init?: string
  /** The lease keeper to go with such an /init. */
  readonly keeper?: string
  /** Seconds since 1970, instead of SOURCE_DATE_EPOCH or the kernel's own date. */
  readonly buildTime?: number
  readonly tell?: Tell
}

export interface BuildResult {
  readonly out: string
  readonly kernel: Kernel
  /** Absolute paths of what was made. */
  readonly image: string
  readonly initrd: string
  readonly script: string
  readonly rootImage: RootImage | undefined
  readonly report: Report
  /** False when the initrd was there already, from the same input. */
  readonly changed: boolean
  /** Firmware that the modules name and that was not found: its name, and a module that names it. */
  readonly missingFirmware: readonly { readonly name: string; readonly module: string }[]
  /** What a person should know: modules and firmware that are not there, no key at all. */
  readonly warnings: readonly string[]
}

/** Rejects with a `CommandError`. */
export async function build(options: BuildOptions): Promise<BuildResult> {
  const out = resolve(options.out)
  const cache = options.cache ?? cacheDirectory
  const profile = options.profile ?? 'release'
  const level = options.level ?? (profile === 'dev' ? 3 : 19)
  const rootImage = options.rootImage === undefined ? undefined : readRootImage(options.rootImage)
  const commandLine = options.commandLine ?? (rootImage === undefined ? '' : imageCommandLine(rootImage))
  const script = writeBootScript(commandLine, rootImage)
  const kernel = await findKernel(options.kernel, options.image, options.firmware ?? [], cache)
  const catalog = readCatalog(kernel.modules, cache)
  const machine = options.machine === undefined ? undefined : driversOf(catalog, options.machine)
  // squashfs is always there.
  const requests = [...options.modules, ...(rootImage?.type === 'erofs' ? ['erofs'] : [])]
  const selection = selectModules(catalog, requests, machine?.modules)
  checkModules(catalog, selection, kernel.version)
  const firmware = findFirmware(selection.modules, kernel.firmware)
  const keys = readKeys(options.keys ?? [])
  const buildTime = options.buildTime ?? sourceDate() ?? kernelDate(kernel, catalog.newest)
  const modloopSignatures = readModloopSignatures(options.modloopSignatures ?? [])
  const shell = chooseShell(options.shell ?? 'open', keys)
  // Before what takes long.
  makeDirectory(out)
  const { init, hooks } = await buildInitWith(options, profile)
  const keeper = options.init === undefined ? await buildKeeper(options.tell) : options.keeper
  if (keeper !== undefined) refuseDynamic(keeper)

  const tree = layOut({
    init,
    keeper,
    kernelVersion: kernel.version,
    catalog,
    selection,
    firmware,
    keys,
    certificates: options.certificates === undefined ? undefined : readAuthorities(options.certificates),
    clientIdentity:
      options.clientIdentity === undefined ? undefined : readClientIdentity(options.clientIdentity),
    keymaps: readKeymaps(options.keymaps ?? []),
    overlayKeys: readOverlayKeys(options.overlayKeys ?? []),
    modloop:
      options.modloop === undefined ? undefined : await readModloop(options.modloop, modloopSignatures, keys),
    modloopSignatures,
    hooks,
    files: options.files ?? [],
    shell,
    version: ownVersion(),
    buildTime,
  })
  const initrd = await writeInitrd({ out, tree, level, image: rootImage, tell: options.tell })
  if (rootImage?.placed === 'beside') await placeBeside(out, rootImage)
  const image = join(out, 'vmlinuz')
  replace(image, readFileSync(kernel.image))
  replace(join(out, 'boot.ipxe'), script)
  return {
    ...{ out, kernel, image, rootImage },
    ...{ initrd: initrd.path, report: initrd.report, changed: initrd.changed },
    script: join(out, 'boot.ipxe'),
    missingFirmware: [...firmware.missing].map(([name, module]) => ({ name, module })),
    warnings: [
      ...(keys.size === 0 ? ['no repository key is in the initrd: no signed index will be accepted'] : []),
      ...(selection.absent.length === 0 ? [] : [`not in this kernel: ${selection.absent.join(', ')}`]),
      ...(machine === undefined ? [] : describeDrivers(machine, kernel.version)),
      ...describeMissing(firmware.missing),
      ...(modloopSignatures.size === 0 || options.modloop !== undefined
        ? []
        : [
            'a modloop’s signature is by SHA-1: the new system’s service checks it, and init nothing; name the modloop itself: --modloop',
          ]),
      ...(rootImage === undefined ? [] : imageWarnings(rootImage, commandLine)),
    ],
  }
}

function describeMissing(missing: ReadonlyMap<string, string>): string[] {
  if (missing.size === 0) return []
  const modules = [...new Set(missing.values())].sort().join(', ')
  return [`${missing.size} firmware files that modules name were not found (${modules}): see --firmware`]
}

function chooseShell(option: ShellOption, keys: ReadonlyMap<string, Buffer>): Shell {
  if (option === 'open' || option === 'none') return { kind: option }
  const site = createHash('sha256')
  for (const bytes of keys.values()) site.update(bytes)
  const { passwordFile } = option
  return shellWithPassword(readInput(passwordFile).toString('utf8'), site.digest('hex'), passwordFile)
}

/** https://reproducible-builds.org/specs/source-date-epoch/ */
function sourceDate(): number | undefined {
  const text = process.env.SOURCE_DATE_EPOCH
  if (text === undefined) return undefined
  if (/^\d{1,11}$/.test(text)) return Number(text)
  throw new CommandError(`SOURCE_DATE_EPOCH is '${text}', and not seconds since 1970`)
}

/** The kernel's files keep their dates through packaging, so this too depends on the input alone. */
function kernelDate(kernel: Kernel, newestModule: number): number {
  return Math.max(newestModule, Math.floor(statSync(kernel.image).mtimeMs / 1000))
}
