/** What an initrd brings to a boot: keys, certificates, modules by what they drive, files that the command line may name. */

import { globExpression } from '../../../build/catalog.ts'
import { CommandError } from '../../../build/error.ts'
import { type MissingFirmware, parseMissingFirmware } from '../../network/cards.ts'
import { clean, withFile } from '../inspect/bytes.ts'
import { contentOf, describeInit, type InitFacts, type Placed } from '../inspect/init.ts'
import { readInitrd } from '../inspect/initrd.ts'

export interface BootInitrd {
  readonly path: string
  readonly init: InitFacts
  /** The version of its modules. */
  readonly kernel: string | undefined
  /** Milliseconds since 1970. */
  readonly builtAt: number | undefined
  /** PEM, by name. */
  readonly keys: ReadonlyMap<string, Buffer>
  readonly overlayKeys: ReadonlyMap<string, Buffer>
  /** PEM; undefined: https is not trusted. */
  readonly certificates: Buffer | undefined
  /** Whether https servers that ask are shown a certificate. */
  readonly clientCertificate: boolean
  readonly modloop: { readonly sha256: string; readonly size: number } | undefined
  /** As modprobe knows them. */
  readonly modules: ReadonlySet<string>
  readonly keymaps: readonly string[]
  /** Modules that ask for firmware which the builder did not find. */
  readonly missingFirmware: MissingFirmware
  has(path: string): boolean
  /** Modules that drive a device with this modalias; a name is itself, where it is there. */
  driversOf(card: string): readonly string[]
}

export function readBootInitrd(path: string): Promise<BootInitrd> {
  return withFile(path, (bytes) => {
    const { files } = readInitrd(bytes, path)
    const init = describeInit(files)
    if (init.kind !== 'diskless') {
      throw new CommandError(
        `${path} is no initrd of diskless: its init is ${init.kind === 'none' ? 'missing' : init.name}`,
        {
          advice: ['Name one that diskless build made: what another init does is not explained here.'],
        },
      )
    }
    return describe(path, files, init)
  })
}

function describe(
  path: string,
  files: ReadonlyMap<string, Placed>,
  init: InitFacts & { kind: 'diskless' },
): BootInitrd {
  const kernel = [...files.keys()].flatMap((name) => /^lib\/modules\/([^/]+)\//.exec(name)?.[1] ?? [])[0]
  const textOf = (name: string) => {
    const placed = files.get(name)
    return placed === undefined ? '' : contentOf(placed, 16 << 20).toString('utf8')
  }
  const named = (directory: string) =>
    new Map(
      [...files].flatMap(([name, placed]): [string, Buffer][] =>
        name.startsWith(directory) && placed.entry.kind === 'file'
          ? [[clean(name.slice(directory.length)), contentOf(placed)]]
          : [],
      ),
    )
  const built = init.built === undefined ? Number.NaN : Date.parse(init.built)
  const modules = new Set(
    [...files.keys()].flatMap(
      (name) => /\/([^/]+)\.ko(?:\.\w+)?$/.exec(name)?.[1]?.replaceAll('-', '_') ?? [],
    ),
  )
  const aliases = parseAliases(textOf(`lib/modules/${kernel}/modules.alias`))
  const pem = files.get('etc/ssl/cert.pem')
  return {
    path,
    init,
    kernel,
    builtAt: Number.isNaN(built) ? undefined : built,
    keys: named('etc/apk/keys/'),
    overlayKeys: named('etc/diskless/overlay-keys/'),
    certificates: pem === undefined ? undefined : contentOf(pem, 16 << 20),
    clientCertificate: files.has('etc/diskless/client.pem'),
    modloop: modloopOf(textOf('etc/diskless/config.json')),
    modules,
    keymaps: [...named('lib/keymaps/').keys()].map((name) => name.replace(/\.bmap(?:\.gz)?$/, '')),
    missingFirmware: parseMissingFirmware(textOf('etc/diskless/missing-firmware')),
    has: (name) => files.has(name.replace(/^\/+/, '')),
    driversOf: (card) => {
      const name = card.replaceAll('-', '_')
      if (!card.includes(':')) return modules.has(name) ? [name] : []
      return [...new Set(aliases.flatMap(({ pattern, module }) => (pattern.test(card) ? [module] : [])))]
    },
  }
}

interface Alias {
  readonly pattern: RegExp
  readonly module: string
}

/** modules.alias: `alias PATTERN MODULE`, the pattern as fnmatch(3) has it. */
function parseAliases(text: string): readonly Alias[] {
  return text.split('\n').flatMap((line) => {
    const [, pattern = '', module = ''] = /^alias (\S{1,300}) (\S+)$/.exec(line) ?? []
    if (module === '' || !pattern.includes(':')) return []
    try {
      return [{ pattern: globExpression(pattern), module: clean(module) }]
    } catch {
      // A range that is none.
      return []
    }
  })
}

function modloopOf(text: string): BootInitrd['modloop'] {
  try {
    const config: unknown = JSON.parse(text)
    if (typeof config !== 'object' || config === null || !('modloop' in config)) return undefined
    const { modloop } = config
    if (typeof modloop !== 'object' || modloop === null || !('sha256' in modloop && 'size' in modloop))
      return undefined
    const { sha256, size } = modloop
    return typeof sha256 === 'string' && typeof size === 'number' ? { sha256, size } : undefined
  } catch {
    return undefined
  }
}
