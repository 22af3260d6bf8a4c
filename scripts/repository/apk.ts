/**
 * apk v2 packages and their repository's index, as abuild writes them: gzip members one after the other, a signature,
 * then the control member, then the data member (package), or the index's one member.
 * Source: apk-package(5), and the packages of Alpine 3.19.
 */

import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  sign,
} from 'node:crypto'
import { gzipSync } from 'node:zlib'
import { type Entry, file, withParents, writeTar } from './tar.ts'

export type Script =
  | 'pre-install'
  | 'post-install'
  | 'pre-upgrade'
  | 'post-upgrade'
  | 'pre-deinstall'
  | 'post-deinstall'
  | 'trigger'

export interface PackageSpec {
  readonly name: string
  /** apk's own form: `9.2_p1-r2010`. */
  readonly version: string
  readonly arch: 'x86_64' | 'noarch'
  readonly description: string
  readonly url: string
  readonly license: string
  readonly origin: string
  /** Seconds since 1970. */
  readonly built: number
  readonly depends: readonly string[]
  readonly provides: readonly string[]
  readonly replaces: readonly string[]
  readonly installIf: readonly string[]
  /** The directories that the trigger watches; patterns, as in apk. */
  readonly triggers: readonly string[]
  readonly scripts: Readonly<Partial<Record<Script, string>>>
  readonly entries: readonly Entry[]
  readonly replacesPriority?: number
  /** Instead of what du would say; apk does not unpack a package of 0. */
  readonly installedSize?: number
  /** Without `APK-TOOLS.checksum.SHA1` of its files, as no builder of packages leaves it. */
  readonly unchecked?: boolean
}

export interface Package {
  readonly spec: PackageSpec
  readonly bytes: Buffer
  /** `Q1` and the base64 of the control member's SHA-1: the package's identity. */
  readonly checksum: string
  readonly installedSize: number
}

/** A key pair that signs; `name` is the public key's file name below etc/apk/keys. */
export interface SigningKey {
  readonly name: string
  readonly privateKey: KeyObject
  readonly publicPem: string
}

export function generateKey(): string {
  return generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({
    type: 'pkcs8',
    format: 'pem',
  }) as string
}

export function loadKey(name: string, pem: string): SigningKey {
  const privateKey = createPrivateKey(pem)
  const publicPem = createPublicKey(privateKey).export({ type: 'spki', format: 'pem' })
  return { name, privateKey, publicPem: publicPem.toString() }
}

/** `RSA` is SHA-1, what abuild signs packages with; `RSA256` is SHA-256, known to apk since 2.12. */
export type SignatureAlgorithm = 'RSA' | 'RSA256'

/** `content` behind a signature of it. */
export function signed(content: Buffer, key: SigningKey, algorithm: SignatureAlgorithm): Buffer {
  const signature = sign(algorithm === 'RSA' ? 'sha1' : 'sha256', content, key.privateKey)
  const tar = writeTar([file(`.SIGN.${algorithm}.${key.name}`, signature)], { cut: true })
  return Buffer.concat([gzip(tar), content])
}

export function makePackage(spec: PackageSpec, key: SigningKey): Package {
  const placed = withParents(spec.entries)
  const entries = spec.unchecked === true ? placed : placed.map(withChecksum)
  const data = gzip(writeTar(entries))
  const installedSize = spec.installedSize ?? entries.reduce((sum, entry) => sum + blocksOf(entry), 4096)
  const control = gzip(
    writeTar(
      [
        file('.PKGINFO', pkginfo(spec, installedSize, createHash('sha256').update(data).digest('hex'))),
        ...Object.entries(spec.scripts).map(([name, script]) => file(`.${name}`, script, 0o755)),
      ].map((entry) => ({ ...entry, time: spec.built })),
      { cut: true },
    ),
  )
  return {
    spec,
    installedSize,
    checksum: `Q1${createHash('sha1').update(control).digest('base64')}`,
    bytes: Buffer.concat([signed(control, key, 'RSA'), data]),
  }
}

/** du's way, as abuild's: whole blocks, a directory is one, and a hard link none. */
function blocksOf({ kind, content }: Entry): number {
  return kind === 'directory' ? 4096 : Math.ceil(content.length / 4096) * 4096
}

function withChecksum(entry: Entry): Entry {
  if (entry.kind !== 'file' && entry.kind !== 'symlink') return entry
  const of = entry.kind === 'file' ? entry.content : entry.target
  const checksum = createHash('sha1').update(of).digest('hex')
  return { ...entry, records: { ...entry.records, 'APK-TOOLS.checksum.SHA1': checksum } }
}

function pkginfo(spec: PackageSpec, size: number, datahash: string): string {
  const lines: [string, string][] = [
    ['pkgname', spec.name],
    ['pkgver', spec.version],
    ['pkgdesc', spec.description],
    ['url', spec.url],
    ['builddate', String(spec.built)],
    ['packager', 'diskless demo'],
    ['size', String(size)],
    ['arch', spec.arch],
    ['origin', spec.origin],
    ['license', spec.license],
    ...spec.replaces.map((name): [string, string] => ['replaces', name]),
    ...(spec.replacesPriority === undefined
      ? []
      : [['replaces_priority', String(spec.replacesPriority)] satisfies [string, string]]),
    ...spec.depends.map((name): [string, string] => ['depend', name]),
    ...spec.provides.map((name): [string, string] => ['provides', name]),
  ]
  if (spec.installIf.length > 0) lines.push(['install_if', spec.installIf.join(' ')])
  if (spec.triggers.length > 0) lines.push(['triggers', spec.triggers.join(' ')])
  lines.push(['datahash', datahash])
  return `${lines.map(([key, value]) => `${key} = ${value}`).join('\n')}\n`
}

/** The text of APKINDEX; fields in the order that `apk index` writes. */
export function indexText(packages: readonly Package[]): string {
  return packages
    .map(({ spec, bytes, checksum, installedSize }) => {
      const lines: [string, string][] = [
        ['C', checksum],
        ['P', spec.name],
        ['V', spec.version],
        // `apk index --rewrite-arch`: apk looks for a package in the directory of this architecture.
        ['A', 'x86_64'],
        ['S', String(bytes.length)],
        ['I', String(installedSize)],
        ['T', spec.description],
        ['U', spec.url],
        ['L', spec.license],
        ['o', spec.origin],
        ['t', String(spec.built)],
        ['D', spec.depends.join(' ')],
        ['p', spec.provides.join(' ')],
        ['i', spec.installIf.join(' ')],
      ]
      return `${lines
        .filter(([, value]) => value !== '')
        .map(([key, value]) => `${key}:${value}`)
        .join('\n')}\n\n`
    })
    .join('')
}

/** APKINDEX.tar.gz, without a signature. */
export function unsignedIndex(text: string, description: string): Buffer {
  return gzip(writeTar([file('DESCRIPTION', description), file('APKINDEX', text)]))
}

function gzip(content: Buffer): Buffer {
  return gzipSync(content, { level: 9 })
}
