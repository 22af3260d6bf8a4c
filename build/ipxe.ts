/** Writes boot.ipxe, the script that a client's iPXE runs. */

import { CommandError } from './error.ts'
import type { RootImage } from './root-image.ts'

/**
 * Names in it are relative, so the directory can be served from anywhere and by TFTP or HTTP alike. A server that is
 * not up yet is asked again for ever, with a word each time: after a power cut clients are faster than servers.
 */
export function writeBootScript(commandLine: string, image?: RootImage): string {
  const words = commandLine.split(/\s+/).filter(Boolean)
  // iPXE's own syntax, which has no way of quoting (it expands and splits before a command sees its arguments).
  const special = words.find(
    (word) => word.includes('${') || word.startsWith('#') || /^(\|\||&&|;)$/.test(word),
  )
  if (special !== undefined) {
    throw new CommandError(`the kernel command line holds '${special}', which iPXE would take for its own`, {
      advice: ['diskless itself replaces {MAC} and {UUID}, written without a dollar sign.'],
    })
  }
  const beside = image?.placed === 'beside' ? image : undefined
  const loads = [...loadKernel(beside, words), 'boot'].map((line) => `${line} || goto failed\n`).join('')
  const files = ['vmlinuz', 'initrd', ...(beside === undefined ? [] : [beside.fileName])]
  return `#!ipxe
# Boots diskless. Made by 'diskless build'; the names are relative to this script.
${image?.placed === 'appended' ? otherWay(image, words) : ''}:start
imgfree
${loads}:failed
echo Could not fetch ${files.slice(0, -1).join(', ')} and ${files.at(-1)}, or could not start them. Trying again in 10 seconds.
sleep 10
goto start
`
}

/**
 * A BIOS kernel finds the initrd by its header; an EFI stub is told a name: of the one file, or initrd.magic, which iPXE
 * makes of all of them together (https://ipxe.org/cmd/initrd), since May 2021.
 * With a path as its argument iPXE wraps a file in cpio.
 */
export function loadKernel(beside: RootImage | undefined, words: readonly string[]): readonly string[] {
  if (beside === undefined)
    return [['kernel', 'vmlinuz', 'initrd=initrd', ...words].join(' '), 'initrd initrd']
  return [
    ['kernel', 'vmlinuz', 'initrd=initrd.magic', ...words].join(' '),
    'initrd initrd',
    `initrd ${beside.fileName} ${beside.destination}`,
  ]
}

/** An image that changes more often than the initrd is better served by itself. */
function otherWay(image: RootImage, words: readonly string[]): string {
  const lines = loadKernel(image, words).map((line) => `#   ${line}\n`)
  return `# The image is inside initrd. The other way, with --image-beside, is the image as a file of its own:\n${lines.join('')}`
}
