/** Writes boot.ipxe, the script that a client's iPXE runs. */

import { BuildError } from './error.ts'

/**
 * Names in it are relative, so the directory can be served from anywhere and by TFTP or HTTP alike. A server that is
 * not up yet is asked again for ever, with a word each time: after a power cut clients are faster than servers.
 */
export function writeBootScript(commandLine: string): string {
  const words = commandLine.split(/\s+/).filter(Boolean)
  // iPXE's own syntax, which has no way of quoting (it expands and splits before a command sees its arguments).
  const special = words.find(
    (word) => word.includes('${') || word.startsWith('#') || /^(\|\||&&|;)$/.test(word),
  )
  if (special !== undefined) {
    throw new BuildError(`the kernel command line holds '${special}', which iPXE would take for its own`, {
      advice: ['diskless itself replaces {MAC} and {UUID}, written without a dollar sign.'],
    })
  }
  // An EFI stub is told the initrd's name; a BIOS kernel finds it by its header.
  const kernel = ['kernel', 'vmlinuz', 'initrd=initrd', ...words].join(' ')
  return `#!ipxe
# Boots diskless. Made by 'diskless build'; the names are relative to this script.
:start
imgfree
${kernel} || goto failed
initrd initrd || goto failed
boot || goto failed
:failed
echo Could not fetch vmlinuz and initrd, or could not start them. Trying again in 10 seconds.
sleep 10
goto start
`
}
