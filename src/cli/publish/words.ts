/** A kernel command line as words, and what each loader can say of it. */

import { CommandError } from '../../../build/error.ts'
import { parseCommandLine } from '../../boot/command-line.ts'
import type { Loader } from './site.ts'

/** arch/x86/include/uapi/asm/setup.h: COMMAND_LINE_SIZE, of which the last is a zero. */
const longest = 2047

/** Each without the kernel's own quotes; `--` and what follows it as they are. */
export function wordsOf(text: string): readonly string[] {
  const { words, initArguments } = parseCommandLine(text)
  return [
    ...words.map(({ name, value }) => (value === undefined ? name : `${name}=${value}`)),
    ...(initArguments.length === 0 ? [] : ['--', ...initArguments]),
  ]
}

/** `more` before the `--` of `words`, so that the kernel and init read it. */
export function join(words: readonly string[], more: readonly string[]): readonly string[] {
  const end = words.indexOf('--')
  return end === -1 ? [...words, ...more] : [...words.slice(0, end), ...more, ...words.slice(end)]
}

export function names(words: readonly string[], name: string): boolean {
  const end = words.indexOf('--')
  return (end === -1 ? words : words.slice(0, end)).some((word) => word.split('=', 1)[0] === name)
}

/** As the kernel reads them: quoted by its own rule (lib/cmdline.c). */
export function quoteForKernel(word: string): string {
  if (!/\s/.test(word)) return word
  const equals = word.indexOf('=')
  const name = word.slice(0, Math.max(0, equals + 1))
  return /\s/.test(name) ? `"${word}"` : `${name}"${word.slice(equals + 1)}"`
}

/** Throws a `CommandError` for what this loader could not hand over as it is. `of`: whose command line it is. */
export function checkWords(loader: Loader, words: readonly string[], of: string): void {
  const bad = words.find((word) => problems[loader].pattern.test(word))
  if (bad !== undefined) {
    throw new CommandError(
      `the command line of ${of} holds '${bad.replace(/[\n\r]/g, '↵')}', which ${problems[loader].why}`,
      {
        advice: [
          'diskless itself replaces {MAC} and {UUID}, written without a dollar sign.',
          `Write it in another way, or leave ${loader} out of the loaders.`,
        ],
      },
    )
  }
  const length = words.map(quoteForKernel).join(' ').length + reserve[loader]
  if (length > longest) {
    throw new CommandError(
      `the command line of ${of} comes to ${length} characters, and a kernel takes ${longest}`,
      { advice: ['Shorten it; a long list of packages (pkgs=) belongs into the overlay’s etc/apk/world.'] },
    )
  }
}

const problems: Readonly<Record<Loader, { readonly pattern: RegExp; readonly why: string }>> = {
  // It has no way of quoting: it expands and splits before a command sees its arguments.
  ipxe: {
    pattern: /\$\{|^#|^(\|\||&&|;)$|[\n\r\0]/,
    why: 'iPXE would take for its own',
  },
  // What it appends itself, the card, would be behind a --, where the kernel leaves all to init's own arguments.
  pxelinux: { pattern: /[\n\r\0]|^--$/, why: 'has no place in a line of pxelinux' },
  // Its linux command puts a backslash before these, which the kernel does not take away.
  grub: { pattern: /['"\\\n\r\0]/, why: 'GRUB cannot hand to a kernel as it is' },
}

/** What the loader adds at most: BOOTIF, initrd, its lease. */
const reserve: Readonly<Record<Loader, number>> = { ipxe: 200, pxelinux: 200, grub: 200 }
