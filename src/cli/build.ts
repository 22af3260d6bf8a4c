/** `diskless build`: makes vmlinuz, initrd and boot.ipxe. */

import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { CommandError } from '../../build/error.ts'
import {
  type BuildOptions,
  type BuildResult,
  build,
  imagePlace,
  printReport,
  type RootImage,
} from '../../build/index.ts'
import { readInput } from '../../build/inputs.ts'
import { modaliasCommand, parseModaliases } from '../../build/machine.ts'
import { cacheDirectory } from '../../build/paths.ts'
import { usualKeyring } from './build/debian-mirror.ts'
import { findKernelSource } from './build/kernel-source.ts'
import { UsageError } from './command.ts'
import { defineCommand } from './define.ts'
import { readOptions } from './options.ts'
import { isPublication } from './publish/claim.ts'

const description = {
  name: 'build',
  about: 'makes vmlinuz, initrd and boot.ipxe from a kernel and its modules',
  forms: ['--kernel SOURCE --out DIR [OPTIONS]'],
  options: {
    kernel: {
      type: 'string',
      value: 'SOURCE',
      about:
        "a modules directory (/lib/modules/VERSION), a tree with lib/modules and boot, a linux-image-*.deb, an Alpine linux-*.apk or an Alpine modloop; or fetched and verified: alpine:linux-lts@URL (a repository; a directory, too) by --keys, debian:linux-image-amd64 by this system's apt, debian:linux-image-amd64@URL (a release of a mirror, .../dists/bookworm) by --keyring; or 'running', this system's own",
      complete: 'file',
    },
    vmlinuz: {
      type: 'string',
      value: 'FILE',
      about: 'the kernel image, where it is neither inside nor beside SOURCE',
    },
    out: { type: 'string', value: 'DIR', about: 'where to write' },
    modules: {
      type: 'string',
      multiple: true,
      value: 'LIST',
      about:
        'groups and modules, separated by commas [virtio,common-ethernet; none with --from-machine]\ngroups: ethernet, common-ethernet, usb-ethernet, vlan-bond, virtio, nfs, storage (keyboards, screens, loop, squashfs and overlay are always there)',
    },
    'from-machine': {
      type: 'string',
      value: 'FILE|-',
      about: `only the drivers that one machine needs: the list (or - for standard input) that this prints on it: ${modaliasCommand}`,
      complete: 'file',
    },
    firmware: {
      type: 'string',
      multiple: true,
      value: 'DIR',
      about: 'where to look for the firmware that modules name',
    },
    keys: {
      type: 'string',
      multiple: true,
      value: 'PLACE',
      about: 'public keys of repositories: a file, or a directory of *.rsa.pub',
      complete: 'file',
    },
    keyring: {
      type: 'string',
      value: 'FILE',
      about: `who signs a Debian mirror, OpenPGP [${usualKeyring}]`,
    },
    'overlay-key': {
      type: 'string',
      multiple: true,
      value: 'FILE',
      about: 'a public key, PEM: overlays must then be signed by it',
    },
    keymap: {
      type: 'string',
      multiple: true,
      value: 'FILE',
      about: 'NAME.bmap or NAME.bmap.gz, for keymap=NAME and dokeymap',
    },
    modloop: { type: 'string', value: 'FILE', about: 'init accepts this modloop only, by its SHA-256' },
    'modloop-signature': {
      type: 'string',
      multiple: true,
      value: 'FILE',
      about: "MODLOOP.SIGN.RSA.KEY from Alpine's initramfs",
    },
    append: { type: 'string', value: 'TEXT', about: 'the kernel command line in boot.ipxe' },
    ca: {
      type: 'string',
      value: 'FILE|public',
      about: 'the authorities that https trusts, PEM; public: those that this machine trusts',
      complete: 'file',
    },
    'client-cert': {
      type: 'string',
      value: 'FILE',
      about: 'who this machine is to servers that ask for a certificate, PEM',
    },
    'client-key': {
      type: 'string',
      value: 'FILE',
      about: 'its key, without a password; whoever can fetch the initrd has it too',
    },
    image: {
      type: 'string',
      value: 'FILE[=PATH]',
      about:
        'a squashfs or erofs image to boot: appended to the initrd, where it is PATH [/image.squashfs]; --append is then, unless given, what boots it',
      complete: 'file',
    },
    'image-beside': {
      type: 'boolean',
      about:
        'the image as a file of its own in DIR, which boot.ipxe fetches as well (with EFI firmware this needs an iPXE of mid-2021 or newer)',
    },
    hook: {
      type: 'string',
      multiple: true,
      value: 'FILE.ts',
      about:
        'TypeScript run at points of the boot (docs/guide/hooks.md), type-checked and put into init; several run in this order',
      complete: 'file',
    },
    file: {
      type: 'string',
      multiple: true,
      value: 'FILE=PATH',
      about: 'puts a file or directory at PATH in the initrd',
      complete: 'file',
    },
    'shell-password-file': {
      type: 'string',
      value: 'FILE',
      about:
        'its first line opens the emergency shell: a password, or pbkdf2-sha256$ITERATIONS$SALT$HASH (hex); a long one, as whoever can fetch the initrd can try guesses against the hash in it',
    },
    'no-shell': { type: 'boolean', about: 'no emergency shell, and no busybox' },
    cache: { type: 'string', value: 'DIR', about: 'where unpacked kernels are kept' },
    dev: { type: 'boolean', about: 'quick: an unoptimised /init, less compression' },
  },
  notes: [
    "The same input gives the same bytes. The initrd's idea of the time is SOURCE_DATE_EPOCH, or the kernel's date.",
  ],
  examples: [
    {
      about: "of this machine's own kernel, for what Alpine's repositories serve",
      command: 'diskless build --kernel running --keys /etc/apk/keys --out /srv/boot',
    },
    {
      about: "of Alpine's kernel, from a mirror, for the cards of one kind of machine",
      command: `ssh root@kiosk '${modaliasCommand}' | diskless build --kernel alpine:linux-lts@https://MIRROR/alpine/v3.21/main --keys /etc/apk/keys --from-machine - --out /srv/boot`,
    },
    {
      about: "with a site's own steps (docs/guide/hooks.md)",
      command: 'diskless build --kernel running --hook hooks/name.ts --out /srv/boot',
    },
    {
      about: 'for machines whose root is on NFS',
      command:
        "diskless build --kernel linux-image.deb --modules ethernet,nfs --append 'ip=dhcp root=/dev/nfs' --out /srv/boot",
    },
    {
      about: 'with an image to boot in the initrd itself',
      command: 'diskless build --kernel linux-image.deb --image root.squashfs --out /srv/boot',
    },
  ],
} as const

type Values = ReturnType<typeof readOptions<typeof description.options>>['values']

export const buildCommand = defineCommand({
  ...description,
  async run({ values }, output) {
    const request = requestOf(values)
    refusePublication(request.out)
    const { cache = cacheDirectory, keys = [] } = request
    const { keyring } = values
    const kernel = await findKernelSource({ source: request.kernel, keys, keyring, cache, tell: output.tell })
    const result = await build({ ...request, kernel, tell: output.tell })
    output.result(result, () => describe(result))
    return 0
  },
})

/** There boot.ipxe is what machines boot by now. */
function refusePublication(out: string): void {
  if (!isPublication(resolve(out))) return
  throw new CommandError(`${out} is what diskless publish made: nothing is built into it`, {
    advice: [`Build elsewhere, and publish that: diskless publish ${out} --boot DIR`],
  })
}

/** Throws a `UsageError`. */
export function parse(words: readonly string[]): BuildOptions {
  return requestOf(readOptions(description, words).values)
}

function requestOf(values: Values): BuildOptions {
  if (values.kernel === undefined) throw new UsageError('--kernel is missing: which kernel?', help)
  if (values.out === undefined) throw new UsageError('--out is missing: where to write?', help)
  const passwordFile = values['shell-password-file']
  if (passwordFile !== undefined && values['no-shell']) {
    throw new UsageError('--shell-password-file and --no-shell exclude each other')
  }
  if (values['image-beside'] && values.image === undefined) {
    throw new UsageError('--image-beside needs --image: which image?', help)
  }
  const placed = values['image-beside'] ? 'beside' : 'appended'
  const fromMachine = values['from-machine']
  const modules = (values.modules ?? (fromMachine === undefined ? ['virtio,common-ethernet'] : [])).flatMap(
    (list) => list.split(',').filter(Boolean),
  )
  return {
    kernel: values.kernel,
    out: values.out,
    modules,
    keys: values.keys ?? [],
    firmware: values.firmware ?? [],
    overlayKeys: values['overlay-key'] ?? [],
    keymaps: values.keymap ?? [],
    modloopSignatures: values['modloop-signature'] ?? [],
    hooks: values.hook ?? [],
    files: (values.file ?? []).map(splitFile),
    shell: passwordFile === undefined ? (values['no-shell'] ? 'none' : 'open') : { passwordFile },
    profile: values.dev ? 'dev' : 'release',
    ...(fromMachine === undefined ? {} : { machine: readMachine(fromMachine) }),
    ...(values.vmlinuz === undefined ? {} : { image: values.vmlinuz }),
    ...(values.image === undefined ? {} : { rootImage: { ...splitImage(values.image), placed } }),
    ...(values.modloop === undefined ? {} : { modloop: values.modloop }),
    ...(values.append === undefined ? {} : { commandLine: values.append }),
    ...(values.ca === undefined ? {} : { certificates: values.ca }),
    ...clientIdentityOf(values['client-cert'], values['client-key']),
    ...(values.cache === undefined ? {} : { cache: values.cache }),
  }
}

function readMachine(file: string): readonly string[] {
  const text = file === '-' ? readFileSync(0) : readInput(file)
  return parseModaliases(text.toString('utf8'), file === '-' ? 'standard input' : file)
}

function clientIdentityOf(certificate: string | undefined, key: string | undefined) {
  if (certificate === undefined && key === undefined) return {}
  if (certificate === undefined || key === undefined) {
    throw new UsageError('--client-cert and --client-key go together', help)
  }
  return { clientIdentity: { certificate, key } }
}

const help = "'diskless build --help' lists the options."

function splitFile(text: string): { source: string; destination: string } {
  const equals = text.indexOf('=')
  const destination = text.slice(equals + 1)
  if (equals < 1 || !destination.startsWith('/')) {
    throw new UsageError(`--file ${text}: write it as FILE=PATH, the path absolute`, help)
  }
  return { source: text.slice(0, equals), destination }
}

/** `FILE` or `FILE=/PATH`; a file's own name may have `=` in it. */
function splitImage(text: string): { source: string; destination: string } {
  const equals = text.lastIndexOf('=/')
  if (equals < 1) return { source: text, destination: imagePlace }
  return { source: text.slice(0, equals), destination: text.slice(equals + 1) }
}

function describe(result: BuildResult): string {
  const warnings = result.warnings.map((warning) => `Note: ${warning}\n`).join('')
  const state = result.changed ? 'made' : 'unchanged'
  const { rootImage } = result
  const files = [
    `vmlinuz (Linux ${result.kernel.version})`,
    `initrd (${state}${rootImage?.placed === 'appended' ? `, with ${rootImage.destination}` : ''})`,
    ...(rootImage?.placed === 'beside' ? [rootImage.fileName] : []),
    'boot.ipxe',
  ]
  const both = rootImage === undefined ? '' : describeImage(rootImage)
  return `${printReport(result.report)}\n\n${warnings}${result.out}: ${files.join(', ')}\n${both}`
}

function describeImage({ placed, type, size, source }: RootImage): string {
  const what = `The ${type} image ${source}, ${(size / 1e6).toFixed(1)} MB, is`
  return placed === 'appended'
    ? `${what} inside initrd, for any boot loader. For iPXE it can be a file of its own: --image-beside.\n`
    : `${what} a file of its own, for iPXE (with EFI firmware: of mid-2021 or newer). For any other boot loader leave out --image-beside: it is then inside initrd.\n`
}
