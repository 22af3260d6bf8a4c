/** `diskless build`: makes vmlinuz, initrd and boot.ipxe. */

import {
  type BuildOptions,
  type BuildResult,
  build,
  imagePlace,
  printReport,
  type RootImage,
} from '../../build/index.ts'
import { type Command, UsageError } from './command.ts'
import { readOptions } from './options.ts'

const usage = `diskless build: makes vmlinuz, initrd and boot.ipxe

Usage: diskless build --kernel SOURCE --out DIR [OPTIONS]

  --kernel SOURCE     a modules directory (/lib/modules/VERSION), a tree with lib/modules and boot,
                      a linux-image-*.deb, an Alpine linux-*.apk or an Alpine modloop
  --vmlinuz FILE      the kernel image, where it is neither inside nor beside SOURCE
  --out DIR           where to write

  --modules LIST      groups and modules, separated by commas [virtio,common-ethernet]
                      groups: ethernet, common-ethernet, usb-ethernet, vlan-bond, virtio, nfs, storage
                      (keyboards, screens, loop, squashfs and overlay are always there)
  --firmware DIR      where to look for the firmware that modules name; may be repeated
  --keys PLACE        public keys of repositories: a file, or a directory of *.rsa.pub; may be repeated
  --overlay-key FILE  a public key, PEM: overlays must then be signed by it; may be repeated
  --keymap FILE       NAME.bmap or NAME.bmap.gz, for keymap=NAME and dokeymap; may be repeated
  --modloop FILE      init accepts this modloop only, by its SHA-256
  --modloop-signature FILE
                      MODLOOP.SIGN.RSA.KEY from Alpine's initramfs; may be repeated
  --append TEXT       the kernel command line in boot.ipxe
  --ca FILE|public    the authorities that https trusts, PEM; public: those that this machine trusts
  --client-cert FILE  who this machine is to servers that ask for a certificate, PEM
  --client-key FILE   its key, without a password; whoever can fetch the initrd has it too
  --image FILE[=PATH] a squashfs or erofs image to boot: appended to the initrd, where it is PATH
                      [/image.squashfs]; --append is then, unless given, what boots it
  --image-beside      the image as a file of its own in DIR, which boot.ipxe fetches as well
                      (with EFI firmware this needs an iPXE of mid-2021 or newer)
  --file FILE=PATH    puts a file or directory at PATH in the initrd; may be repeated
  --shell-password-file FILE
                      its first line opens the emergency shell: a password, or
                      pbkdf2-sha256$ITERATIONS$SALT$HASH (hex); a long one, as whoever can fetch
                      the initrd can try guesses against the hash in it
  --no-shell          no emergency shell, and no busybox
  --cache DIR         where unpacked kernels are kept
  --dev               quick: an unoptimised /init, less compression
  --json              the result as JSON

The same input gives the same bytes. The initrd's idea of the time is SOURCE_DATE_EPOCH, or the kernel's date.
`

const options = {
  kernel: { type: 'string' },
  vmlinuz: { type: 'string' },
  out: { type: 'string' },
  modules: { type: 'string', multiple: true },
  firmware: { type: 'string', multiple: true },
  keys: { type: 'string', multiple: true },
  append: { type: 'string' },
  'client-cert': { type: 'string' },
  'client-key': { type: 'string' },
  ca: { type: 'string' },
  'overlay-key': { type: 'string', multiple: true },
  keymap: { type: 'string', multiple: true },
  modloop: { type: 'string' },
  'modloop-signature': { type: 'string', multiple: true },
  image: { type: 'string' },
  'image-beside': { type: 'boolean' },
  file: { type: 'string', multiple: true },
  'shell-password-file': { type: 'string' },
  'no-shell': { type: 'boolean' },
  cache: { type: 'string' },
  dev: { type: 'boolean' },
  json: { type: 'boolean' },
} as const

export const buildCommand: Command = {
  about: 'makes vmlinuz, initrd and boot.ipxe from a kernel and its modules',
  usage,
  async run(words) {
    const { request, json } = parse(words)
    const tell = (line: string) => process.stderr.write(`${line}\n`)
    const result = await build({ ...request, tell })
    process.stdout.write(json ? `${JSON.stringify(result, null, 2)}\n` : describe(result))
    return 0
  },
}

/** Throws a `UsageError`. */
export function parse(words: readonly string[]): { readonly request: BuildOptions; readonly json: boolean } {
  const values = readOptions(words, options, help)
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
  const modules = (values.modules ?? ['virtio,common-ethernet']).flatMap((list) =>
    list.split(',').filter(Boolean),
  )
  return {
    json: values.json ?? false,
    request: {
      kernel: values.kernel,
      out: values.out,
      modules,
      keys: values.keys ?? [],
      firmware: values.firmware ?? [],
      overlayKeys: values['overlay-key'] ?? [],
      keymaps: values.keymap ?? [],
      modloopSignatures: values['modloop-signature'] ?? [],
      files: (values.file ?? []).map(splitFile),
      shell: passwordFile === undefined ? (values['no-shell'] ? 'none' : 'open') : { passwordFile },
      profile: values.dev ? 'dev' : 'release',
      ...(values.vmlinuz === undefined ? {} : { image: values.vmlinuz }),
      ...(values.image === undefined ? {} : { rootImage: { ...splitImage(values.image), placed } }),
      ...(values.modloop === undefined ? {} : { modloop: values.modloop }),
      ...(values.append === undefined ? {} : { commandLine: values.append }),
      ...(values.ca === undefined ? {} : { certificates: values.ca }),
      ...clientIdentityOf(values['client-cert'], values['client-key']),
      ...(values.cache === undefined ? {} : { cache: values.cache }),
    },
  }
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
