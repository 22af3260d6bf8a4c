/**
 * What is to be booted: a directory of `diskless build` or `diskless publish`. From power-on a machine runs its boot.ipxe; at
 * once means the kernel, initrd and command line that boot.ipxe names.
 */
import { existsSync, readFileSync, realpathSync, statSync } from 'node:fs'
import { join, sep } from 'node:path'
import { CommandError } from '../../../build/error.ts'
import { type Start, usualMac } from './hardware.ts'

/** Where the kernel begins is QEMU's business: the firmware is left out. */
export type DirectStart = Extract<Start, { by: 'kernel' }>

const script = 'boot.ipxe'

/** Throws a `CommandError` where the directory has nothing to boot. */
export function fromPowerOn(directory: string): Start {
  readScript(directory)
  return { by: 'ipxe', directory: realpathSync(directory), script }
}

/** What iPXE fetches, in bytes, and the kernel's command line; undefined where the script is more than kernel and initrd. */
export function fetchedFromPowerOn(
  directory: string,
): { readonly bytes: number; readonly words: readonly string[] } | undefined {
  const { kernel, initrds, words } = parseScript(readScript(directory), usualMac)
  if (kernel === undefined) return undefined
  const files = [kernel, ...initrds.map(({ path }) => path)].map((path) => join(directory, path))
  return { bytes: files.reduce((sum, path) => sum + (existsSync(path) ? statSync(path).size : 0), 0), words }
}

/** `complete` has the last word on the command line. Throws a `CommandError`. */
export function atOnce(
  directory: string,
  complete: (words: readonly string[]) => readonly string[],
): DirectStart {
  const { kernel, initrds, words } = parseScript(readScript(directory), usualMac)
  const [initrd, ...others] = initrds
  const hasArgument = initrds.some(({ words }) => words > 1)
  if (kernel === undefined || initrd === undefined || others.length > 0 || hasArgument) {
    throw new CommandError(`${join(directory, script)} asks for more than one kernel and one initrd`, {
      advice: ['That needs iPXE: leave --direct and --append out.'],
    })
  }
  return {
    by: 'kernel',
    kernel: inside(directory, kernel),
    initrd: inside(directory, initrd.path),
    append: complete(words).join(' '),
  }
}

function readScript(directory: string): string {
  const path = join(directory, script)
  if (!existsSync(directory)) {
    throw new CommandError(`${directory} is not there`, {
      advice: ['diskless build --out DIR and diskless publish DIR make what can be booted.'],
    })
  }
  if (!statSync(directory).isDirectory()) throw new CommandError(`${directory} is not a directory`)
  if (!existsSync(path)) {
    throw new CommandError(`${directory} has no ${script}: there is nothing to boot in it`, {
      advice: ['diskless build --out DIR and diskless publish DIR write one.'],
    })
  }
  return readFileSync(path, 'utf8')
}

interface Parsed {
  readonly kernel: string | undefined
  readonly initrds: readonly { readonly path: string; readonly words: number }[]
  readonly words: readonly string[]
}

/** The commands that name files (https://ipxe.org/cmd), before what they do when that fails. */
function parseScript(text: string, mac: string): Parsed {
  const commands = text
    .split('\n')
    .map((line) => (line.split(/ (?:\|\||&&) ?/)[0] ?? '').trim().split(/\s+/))
    .filter(([name]) => name === 'kernel' || name === 'initrd')
  const kernels = commands.filter(([name]) => name === 'kernel')
  const [, kernel, ...words] = kernels[0] ?? []
  return {
    kernel: kernels.length === 1 ? kernel : undefined,
    initrds: commands
      .filter(([name]) => name === 'initrd')
      .map(([, path = '', ...rest]) => ({ path, words: 1 + rest.length })),
    words: words.flatMap((word) => settled(word, mac)),
  }
}

/** What iPXE puts in: its card, and its lease, which nobody has here. */
function settled(word: string, mac: string): readonly string[] {
  if (word.startsWith('initrd=')) return []
  if (!word.includes('$' + '{')) return [word]
  if (word.startsWith('BOOTIF=')) return [`BOOTIF=01-${mac.replaceAll(':', '-')}`]
  return word.startsWith('ip=') ? ['ip=dhcp'] : []
}

/** A name in the script leads to no file outside the directory. */
function inside(directory: string, name: string): string {
  const path = join(directory, name)
  if (!existsSync(path)) {
    throw new CommandError(`${path} is not there, and ${script} names it`, {
      advice: ['Publish or build again.'],
    })
  }
  const real = realpathSync(path)
  if (!real.startsWith(realpathSync(directory) + sep)) {
    throw new CommandError(`${script} names ${name}, which is outside ${directory}`)
  }
  return real
}
