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

/** GRUB tells the card's address with colons, which BOOTIF= may have as well. */
function entry(site: Site, words: readonly string[], of: string): string {
  checkWords('grub', words, of)
  const { boot, ip } = site
  const lease = leaseOf(site)
  const address = lease === '' ? 'ip=dhcp' : '"ip=$address"'
  const given = ['"BOOTIF=01-$net_default_mac"', ...(ip === 'as the command line says' ? [] : [address])]
  const line = [`"$base/${boot.kernel}"`, ...given, ...words.map((word) => `'${word}'`)].join(' ')
  // An entry that fails leaves a menu: the second one is another try, which the timeout takes.
  return `${findBase}${lease}menuentry 'diskless' {
  linux ${line}
  initrd "$base/${boot.initrd}"
}
menuentry 'Try again' {
  ${again.join('\n  ')}
}
set fallback=1
`
}

/** Whether GRUB can hand its lease over. */
export function grubKnowsLease({ network }: Pick<Site, 'network'>): boolean {
  return network?.router !== undefined
}

/**
 * `address`: what ip= is to say, where GRUB is to hand its lease over. It tells the mask and the router of one as hexadecimal
 * digits (net_get_dhcp_option), and has no arithmetic that makes addresses of them: so they are compared with those of the
 * configured network. In any other network, and in one without a router, which GRUB would tell as an error, init asks by DHCP.
 */
function leaseOf({ ip, network }: Site): string {
  if (ip !== 'lease' || network?.router === undefined) return ''
  const { mask, router, server, dns } = network
  const words = [server, router, mask, '', '', 'none', ...dns.slice(0, 2)]
  return `set address=dhcp
net_get_dhcp_option mask "$net_default_interface" 1 hex
net_get_dhcp_option router "$net_default_interface" 3 hex
if [ "$mask $router" = '${hexOf(mask)} ${hexOf(router)}' ]; then
  set address="$net_default_ip:${words.join(':')}"
fi
`
}

function hexOf(address: string): string {
  return address
    .split('.')
    .map((part) => Number(part).toString(16).padStart(2, '0'))
    .join('')
}
