/** The loaders' own programs: taken from where distributions put them; GRUB's is made, of its modules, by grub-mkimage. */

import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { writeCpio } from '../../../build/cpio.ts'
import { CommandError } from '../../../build/error.ts'
import { type Placed, placeBytes, placeFile } from './placed.ts'
import { type Firmware, type Loader, origin } from './site.ts'

export interface LoaderPrograms {
  readonly files: readonly Placed[]
  readonly firmware: Firmware
  /** What is not on this machine, in words. */
  readonly missing: readonly string[]
}

interface Program {
  readonly path: string
  readonly for: 'bios' | 'efi' | 'itself'
  /** Debian's package. */
  readonly package: string
  /** Where distributions put it. */
  readonly places: readonly string[]
}

const programs: Readonly<Record<'ipxe' | 'pxelinux', readonly Program[]>> = {
  ipxe: [
    // Both use the firmware's own driver of the card, so that there is none to be missing.
    {
      path: 'ipxe/undionly.kpxe',
      for: 'bios',
      package: 'ipxe',
      places: ['/usr/lib/ipxe/undionly.kpxe', '/usr/share/ipxe/undionly.kpxe'],
    },
    {
      path: 'ipxe/snponly.efi',
      for: 'efi',
      package: 'ipxe',
      places: [
        '/usr/lib/ipxe/snponly.efi',
        '/usr/share/ipxe/snponly.efi',
        '/usr/share/ipxe/ipxe-snponly-x86_64.efi',
      ],
    },
  ],
  pxelinux: [
    {
      path: 'pxelinux.0',
      for: 'bios',
      package: 'pxelinux',
      places: ['/usr/lib/PXELINUX/pxelinux.0', '/usr/share/syslinux/pxelinux.0'],
    },
    {
      path: 'ldlinux.c32',
      for: 'itself',
      package: 'syslinux-common',
      places: ['/usr/lib/syslinux/modules/bios/ldlinux.c32', '/usr/share/syslinux/ldlinux.c32'],
    },
  ],
}

/** In the order of preference. `must`: one that is not there is an error, and not a note. Rejects with a `CommandError`. */
export async function findLoaders(
  loaders: readonly Loader[],
  must: boolean,
  server: string | undefined,
): Promise<LoaderPrograms> {
  const files: Placed[] = []
  const missing: string[] = []
  let firmware: Firmware = { bios: undefined, efi: undefined }
  for (const loader of loaders) {
    const found = loader === 'grub' ? makeGrub(server) : await findPrograms(programs[loader])
    if (must && found.missing.length > 0) {
      throw new CommandError(`${loader} is to be published, and is not on this machine`, {
        advice: [...found.missing, `Or leave ${loader} out of the loaders.`],
      })
    }
    missing.push(...found.missing)
    files.push(...found.files)
    firmware = {
      bios: firmware.bios ?? found.firmware.bios,
      efi: firmware.efi ?? found.firmware.efi,
    }
  }
  return { files, firmware, missing }
}

async function findPrograms(wanted: readonly Program[]): Promise<LoaderPrograms> {
  const missing = wanted.flatMap(({ path, places, package: name }) =>
    places.some((place) => existsSync(place)) ? [] : [`${path}: install ${name} (Debian's name of it).`],
  )
  if (missing.length > 0) return { files: [], firmware: { bios: undefined, efi: undefined }, missing }
  const files = await Promise.all(
    wanted.map(({ path, places }) => {
      const source = places.find((place) => existsSync(place)) ?? path
      return placeFile(path, source, 'the loader')
    }),
  )
  const of = (kind: Program['for']) => wanted.find((program) => program.for === kind)?.path
  return { files, firmware: { bios: of('bios'), efi: of('efi') }, missing }
}

const grubPlatforms = [
  {
    path: 'grub/bios.0',
    for: 'bios',
    format: 'i386-pc-pxe',
    modules: 'i386-pc',
    package: 'grub-pc-bin',
    own: ['pxe', 'biosdisk'],
  },
  {
    path: 'grub/x64.efi',
    for: 'efi',
    format: 'x86_64-efi',
    modules: 'x86_64-efi',
    package: 'grub-efi-amd64-bin',
    own: ['efinet', 'efi_gop', 'efi_uga', 'all_video'],
  },
] as const

/** What grub.cfg uses, and what brings it here. All in one file: a module each would be a hundred round trips. */
const grubModules = [
  ...['normal', 'linux', 'configfile', 'echo', 'test', 'sleep', 'regexp', 'eval', 'minicmd', 'ls'],
  ...['serial', 'terminal', 'reboot', 'memdisk', 'newc', 'tftp', 'http'],
]

/** Debian's package of grub-mkimage. */
const grubTools = 'grub-common'

function makeGrub(server: string | undefined): LoaderPrograms {
  const tool = ['grub-mkimage', 'grub2-mkimage'].find((name) => spawnSync(name, ['--version']).status === 0)
  if (tool === undefined) {
    return {
      files: [],
      firmware: { bios: undefined, efi: undefined },
      missing: [`grub-mkimage: install ${grubTools} (Debian's name of it).`],
    }
  }
  const missing: string[] = []
  const files: Placed[] = []
  const paths: { bios?: string; efi?: string } = {}
  const scratch = mkdtempSync(join(tmpdir(), 'diskless-grub-'))
  try {
    for (const platform of grubPlatforms) {
      const modules = ['/usr/lib/grub', '/usr/lib/grub2', '/usr/share/grub2']
        .map((place) => join(place, platform.modules))
        .find((place) => existsSync(join(place, 'normal.mod')))
      if (modules === undefined) {
        missing.push(`${platform.path}: install ${platform.package} (Debian's name of it).`)
        continue
      }
      const { format, own } = platform
      const bytes = makeImage(tool, scratch, { format, directory: modules, modules: own, server })
      files.push(placeBytes(platform.path, bytes))
      paths[platform.for] = platform.path
    }
  } finally {
    rmSync(scratch, { recursive: true, force: true })
  }
  return { files, firmware: { bios: paths.bios, efi: paths.efi }, missing }
}

interface GrubImage {
  readonly format: string
  readonly directory: string
  readonly modules: readonly string[]
  readonly server: string | undefined
}

/** The same input gives the same bytes. */
function makeImage(tool: string, scratch: string, image: GrubImage): Buffer {
  const place = (name: string) => join(scratch, name)
  const script = Buffer.from(firstScript(image.server))
  writeFileSync(
    place('disk'),
    writeCpio(new Map([['first.cfg', { kind: 'file', mode: 0o644, bytes: script }]])),
  )
  // Before there is a normal mode nothing but plain commands is read.
  writeFileSync(place('config'), 'normal (memdisk)/first.cfg\n')
  const options = [
    ...['--format', image.format, '--directory', image.directory, '--prefix', ''],
    ...['--config', place('config'), '--memdisk', place('disk'), '--output', place('image')],
    ...[...grubModules, ...image.modules],
  ]
  const { status, stderr, error } = spawnSync(tool, options, { encoding: 'utf8' })
  if (status !== 0) {
    throw new CommandError(`${tool} could not make GRUB for ${image.format}`, {
      cause: error ?? new Error(stderr.trim()),
    })
  }
  return readFileSync(place('image'))
}

/**
 * Where GRUB finds grub.cfg: beside itself, on the server that it came from. A proxy's offer is not among what firmware
 * tells GRUB 2.06: then the server is the one that is known here.
 */
function firstScript(server: string | undefined): string {
  return `# ${origin}
set server="$net_default_server"
${server === undefined ? '' : `if [ -z "$server" ]; then set server=${server}; fi\n`}set directory=grub
eval "set file=\\"\\$net_\${net_default_interface}_boot_file\\""
regexp --set=1:directory '^/?(.*)/[^/]*$' "$file"
set root="(tftp,$server)"
set prefix="(tftp,$server)/$directory"
configfile "$prefix/grub.cfg"
echo "There is no $prefix/grub.cfg. Trying again in 10 seconds."
sleep 10
reboot
`
}
