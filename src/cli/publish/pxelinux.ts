/** pxelinux.cfg/default and a file a machine (https://wiki.syslinux.org/wiki/index.php?title=PXELINUX). */

import { hyphened, nameOf, origin, type Site } from './site.ts'
import { checkWords, names, quoteForKernel } from './words.ts'

/** pxelinux itself looks for the machine's file first. */
export function pxelinuxFiles(site: Site): ReadonlyMap<string, string> {
  return new Map([
    ['pxelinux.cfg/default', configuration(site, site.words, 'all machines')],
    ...site.machines.map((machine): [string, string] => [
      // 01 is Ethernet.
      `pxelinux.cfg/01-${hyphened(machine.mac)}`,
      configuration(site, machine.words, nameOf(machine)),
    ]),
  ])
}

function configuration({ boot, ip, network }: Site, words: readonly string[], of: string): string {
  checkWords('pxelinux', words, of)
  const dns = ip === 'lease' && !names(words, 'nameserver') ? (network?.dns ?? []) : []
  const given = [...(ip === 'dhcp' ? ['ip=dhcp'] : []), ...dns.map((each) => `nameserver=${each}`)]
  const append = [...given, ...words.map(quoteForKernel)].join(' ')
  // SYSAPPEND, behind all else: 2 hands over BOOTIF=, 1 the lease as ip=CLIENT:SERVER:GATEWAY:MASK, 0.0.0.0 for what it has
  // not; of DNS servers it says nothing. An append of nothing but a hyphen is pxelinux's word for none at all.
  return `# ${origin}
# For ${of}.
default diskless
prompt 0
label diskless
  kernel ${boot.kernel}
  initrd ${boot.initrd}
  append ${append === '' ? '-' : append}
  sysappend ${ip === 'lease' ? 3 : 2}
`
}
