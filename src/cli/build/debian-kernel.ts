/**
 * Debian's kernel package: through this system's own apt, which verifies it and refuses what it cannot verify; or from a
 * mirror (debian-mirror.ts).
 */

import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { basename, join } from 'node:path'
import { readAr, readTar } from '../../../build/archive.ts'
import { decompress, splitCompression } from '../../../build/compression.ts'
import { CommandError, errnoOf } from '../../../build/error.ts'
import { writeWhole } from '../../../build/write-whole.ts'
import { type DebianMirror, openMirror } from './debian-mirror.ts'

export interface DebianWish {
  /** `linux-image-amd64`, or a kernel's own package. */
  readonly name: string
  readonly cache: string
  readonly tell: (line: string) => void
  /** For tests: the program to ask. */
  readonly apt?: string
}

/** Resolves with the package's path in the cache. Rejects with a `CommandError`. */
export async function fetchDebianKernel({ name, cache, tell, apt = 'apt-get' }: DebianWish): Promise<string> {
  if (!/^[a-z\d][a-z\d+.-]+$/.test(name)) throw new CommandError(`'${name}' can be no package's name`)
  const first = download(name, cache, tell, apt)
  const kernel = kernelOf(dependsOf(first))
  if (kernel === undefined || kernel === name) return first
  return download(kernel, cache, tell, apt)
}

/** The same from a mirror. */
export async function fetchFromMirror(name: string, mirror: DebianMirror, cache: string): Promise<string> {
  const find = await openMirror(mirror)
  const wanted = find(name)
  const named = kernelOf(wanted.depends)
  const kernel = named === undefined || named === name ? wanted : find(named)
  const directory = join(cache, 'kernels')
  mirror.tell(`Fetching ${kernel.name} ${kernel.version}`)
  const bytes = await kernel.read()
  const path = join(directory, `${kernel.name}_${kernel.version.replace(/[^\w.+~-]/g, '%')}_amd64.deb`)
  mkdirSync(directory, { recursive: true })
  writeWhole(path, bytes)
  return path
}

/** The metapackage depends on the kernel of the day. */
function kernelOf(depends: string): string | undefined {
  return /\blinux-image-\d[^\s,(|]*/.exec(depends)?.[0]
}

function download(name: string, cache: string, tell: (line: string) => void, apt: string): string {
  const place = join(cache, 'kernels')
  mkdirSync(place, { recursive: true })
  const scratch = mkdtempSync(join(place, 'apt-'))
  try {
    tell(`Asking apt for ${name}`)
    const words = [
      '-o',
      'APT::Get::AllowUnauthenticated=false',
      '-o',
      'APT::Sandbox::User=root',
      'download',
      name,
    ]
    const { error, status, stderr } = spawnSync(apt, words, {
      cwd: scratch,
      encoding: 'utf8',
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    if (error !== undefined) {
      throw new CommandError(
        errnoOf(error) === 'ENOENT' ? `there is no ${apt} here to fetch ${name}` : `${apt} could not be run`,
        {
          cause: error,
          advice: ['Fetch the package on a Debian (apt-get download), and name it: --kernel FILE.deb'],
        },
      )
    }
    const file = readdirSync(scratch).find((each) => each.endsWith('.deb'))
    if (status !== 0 || file === undefined) {
      throw new CommandError(`apt did not bring ${name}`, {
        cause: new Error(stderr.trim() || `it ended with ${status}, and there is no file`),
        advice: [
          'Bring its lists up to date: apt-get update. A mirror that is not signed is refused: see apt-secure(8).',
        ],
      })
    }
    const path = join(place, basename(file))
    if (existsSync(path) && readFileSync(path).equals(readFileSync(join(scratch, file)))) return path
    renameSync(join(scratch, file), path)
    return path
  } finally {
    rmSync(scratch, { recursive: true, force: true })
  }
}

/** deb-control(5). */
function dependsOf(path: string): string {
  for (const [name, content] of readAr(readFileSync(path), path)) {
    const { plain, compression } = splitCompression(name)
    if (plain !== 'control.tar') continue
    for (const member of readTar(decompress(content, compression, path), path)) {
      if (member.kind !== 'file' || member.name !== 'control') continue
      return /^Depends:(.*(?:\n[ \t].*)*)/im.exec(member.bytes.toString('utf8'))?.[1] ?? ''
    }
  }
  throw new CommandError(`${path} has no control file: not a Debian package`)
}
