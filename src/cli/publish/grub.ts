/** grub.cfg and a file a machine, for GRUB from the network: BIOS and EFI read the same (https://www.gnu.org/software/grub/manual). */

import { hyphened, nameOf, origin, type Site } from './site.ts'
import { checkWords } from './words.ts'

/** The names of machines' files are those that GRUB's own search takes: Debian's signed image finds them, too. */
export function grubFiles(site: Site): ReadonlyMap<string, string> {
  return new Map([
    ['grub/grub.cfg', configuration(site)],
    ...site.machines.map((machine): [string, string] => [
      fileOf(machine.mac),
      `# ${origin}\n# For ${nameOf(machine)}.\n${entry(site, machine.words, nameOf(machine))}`,
    ]),
  ])
}

/** Paths begin where the directory is on the server, which is one above $prefix. */
const findBase = `regexp --set=1:base '^(.*)/grub/?$' "$prefix"\n`

function fileOf(mac: string): string {
  return `grub/grub.cfg-01-${hyphened(mac)}`
}

/** A machine's file that does not come must not make it another machine, or leave it at a prompt. */
function configuration(site: Site): string {
  const own = site.machines.map(
    ({ mac }, at) =>
      `${at === 0 ? 'if' : 'elif'} [ "$net_default_mac" = '${mac}' ]; then set own="$base/${fileOf(mac)}"\n`,
  )
  const others = entry(site, site.words, 'all machines')
  const choice = `${findBase}set own=
${own.join('')}fi
if [ -z "$own" ]; then
${others}elif ! source "$own"; then
  ${again.join('\n  ')}
fi
`
  return `# ${origin}
set default=0
set timeout=0
${own.length === 0 ? others : choice}`
}

const again = ['echo "Trying again in 10 seconds."', 'sleep 10', 'configfile "$prefix/grub.cfg"']

/**
 * GRUB tells the card's address with colons, which BOOTIF= may have as well. Of its lease it tells too little for ip=
 * (no mask, no gateway), so that the machine asks by DHCP.
 */
function entry({ boot, ip }: Site, words: readonly string[], of: string): string {
  checkWords('grub', words, of)
  const given = ['"BOOTIF=01-$net_default_mac"', ...(ip === 'as the command line says' ? [] : ['ip=dhcp'])]
  const line = [`"$base/${boot.kernel}"`, ...given, ...words.map((word) => `'${word}'`)].join(' ')
  // An entry that fails leaves a menu: the second one is another try, which the timeout takes.
  return `${findBase}menuentry 'diskless' {
  linux ${line}
  initrd "$base/${boot.initrd}"
}
menuentry 'Try again' {
  ${again.join('\n  ')}
}
set fallback=1
`
}
