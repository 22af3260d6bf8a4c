/**
 * A package of a Debian mirror without apt, verified as apt does it (apt-secure(8), the wiki's DebianRepository/Format): gpgv
 * says who signed InRelease, which has the SHA-256 of the list of packages, which has that of the package.
 */

import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { decompress } from '../../../build/compression.ts'
import { CommandError } from '../../../build/error.ts'
import { closest } from '../../boot/closest.ts'
import { redactUrl } from '../../network/url.ts'
import { download } from '../lock/download.ts'

export interface DebianMirror {
  /** The release's directory: `https://MIRROR/debian/dists/bookworm`. */
  readonly release: string
  /** A file of OpenPGP keys, as gpgv reads it: not ASCII. */
  readonly keyring: string
  readonly tell: (line: string) => void
}

export interface DebianPackage {
  readonly name: string
  readonly version: string
  readonly depends: string
  /** The verified file's bytes. Rejects with a `CommandError`. */
  read(): Promise<Buffer>
}

/** Where Debian's package debian-archive-keyring has it, on Alpine, too. */
export const usualKeyring = '/usr/share/keyrings/debian-archive-keyring.gpg'

const lists = ['main/binary-amd64/Packages.xz', 'main/binary-amd64/Packages.gz']

/** Resolves with what finds a package by its name. Rejects with a `CommandError`: nobody trusted signed it, or it is too old. */
export async function openMirror(mirror: DebianMirror): Promise<(name: string) => DebianPackage> {
  const { release, tell } = mirror
  const shown = redactUrl(release)
  const [, archive] = /^(.+)\/dists\/.+$/.exec(release) ?? []
  if (archive === undefined) {
    throw new CommandError(`${shown} is no release of a Debian mirror`, {
      advice: ['Write it as https://MIRROR/debian/dists/bookworm'],
    })
  }
  const signed = await download([`${release}/InRelease`], `the list of ${shown}`, tell)
  const text = verified(signed, mirror, shown)
  refuseExpired(text, shown)
  const [list, digest] = listOf(text, shown)
  const packed = await download([`${release}/${list}`], `the packages of ${shown}`, tell)
  check(packed, digest, `${shown}/${list}`, 'its InRelease')
  const packages = decompress(packed, list.endsWith('.xz') ? 'xz' : 'gz', list)
    .toString('utf8')
    .split(/\n{2,}/)

  return (name) => {
    const found = packages.findLast((each) => fieldOf(each, 'Package') === name)
    if (found === undefined) throw missing(name, shown, packages)
    return {
      name,
      version: fieldOf(found, 'Version'),
      depends: fieldOf(found, 'Depends'),
      read: async () => {
        const bytes = await download(
          [`${archive}/${fieldOf(found, 'Filename')}`],
          `the package ${name}`,
          tell,
        )
        check(bytes, fieldOf(found, 'SHA256'), name, 'the list of packages')
        return bytes
      },
    }
  }
}

/** The text that is signed. */
function verified(signed: Buffer, { keyring }: DebianMirror, shown: string): string {
  if (!existsSync(keyring)) {
    throw new CommandError(`there is no keyring ${keyring} to verify ${shown} with`, {
      advice: ['It is in the package debian-archive-keyring; another: --keyring FILE'],
    })
  }
  const { error, status, stderr, stdout } = spawnSync(
    'gpgv',
    ['--quiet', '--keyring', keyring, '--output', '-', '-'],
    { input: signed, maxBuffer: 64 * 1024 * 1024 },
  )
  if (error !== undefined) {
    throw new CommandError('gpgv could not be run, which verifies what a mirror has', {
      cause: error,
      advice: ["It is in Debian's package gpgv, in Alpine's gnupg."],
    })
  }
  if (status === 0 && stdout.length > 0) return stdout.toString('utf8')
  throw new CommandError(`${shown} is not signed by a key of ${keyring}`, {
    cause: new Error(stderr.toString('utf8').trim()),
    advice: ['Another mirror or release, or the keys of those who sign this one: --keyring FILE'],
  })
}

/** An old list that is served again would bring an old kernel. */
function refuseExpired(release: string, shown: string): void {
  const until = Date.parse(/^Valid-Until: (.+)$/m.exec(release)?.[1] ?? '')
  if (Number.isNaN(until) || until > Date.now()) return
  throw new CommandError(`${shown} was valid until ${new Date(until).toISOString().slice(0, 10)}`, {
    advice: ['The mirror is not kept up to date: ask another. Or the clock of this machine is wrong.'],
  })
}

function listOf(release: string, shown: string): readonly [list: string, digest: string] {
  const [, sums = ''] = /^SHA256:\n((?: .*\n?)+)/m.exec(release) ?? []
  for (const list of lists) {
    const digest = sums
      .split('\n')
      .map((line) => line.trim().split(/ +/))
      .find(([sum = '', , name]) => name === list && /^[\da-f]{64}$/.test(sum))?.[0]
    if (digest !== undefined) return [list, digest]
  }
  throw new CommandError(`${shown} has no packages for amd64 in main`)
}

function check(bytes: Buffer, digest: string, what: string, by: string): void {
  if (createHash('sha256').update(bytes).digest('hex') === digest) return
  throw new CommandError(`${what} is not what ${by} says: its SHA-256 is another`, {
    advice: ['The mirror is being updated just now, or somebody changed it: try again, or another mirror.'],
  })
}

/** deb822(5), as far as one line is concerned. */
function fieldOf(paragraph: string, name: string): string {
  return new RegExp(`^${name}: (.*)$`, 'm').exec(paragraph)?.[1] ?? ''
}

function missing(name: string, shown: string, packages: readonly string[]): CommandError {
  const kernels = packages
    .map((each) => fieldOf(each, 'Package'))
    .filter((each) => each.startsWith('linux-image-'))
  const near = closest(name, kernels)
  const some = kernels.filter((each) => /^linux-image-(amd64|cloud-amd64|rt-amd64)$/.test(each))
  return new CommandError(`${shown} has no package ${name}`, {
    advice: [
      ...(near === undefined ? [] : [`Did you mean '${near}'?`]),
      ...(some.length === 0 ? [] : [`Its kernels: ${some.join(', ')}.`]),
    ],
  })
}
