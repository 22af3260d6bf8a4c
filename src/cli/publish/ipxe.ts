/** boot.ipxe and a script a machine: what iPXE runs (https://ipxe.org/cmd). */

import { type AddressHandOver, hyphened, nameOf, origin, type Site } from './site.ts'
import { checkWords, quoteForKernel } from './words.ts'

/** The card that it booted from, as BOOTIF= has it. `netX` is the card that was opened last. */
const card = setting('mac:hexhyp')

/** `path` of the directory, and its text. */
export function ipxeFiles(site: Site): ReadonlyMap<string, string> {
  const { machines } = site
  return new Map([
    ['boot.ipxe', bootScript(site)],
    ...machines.map((machine): [string, string] => {
      checkWords('ipxe', machine.words, nameOf(machine))
      const top = `# ${nameOf(machine)}, from machines/ of the published directory.\n`
      return [
        `machines/${hyphened(machine.mac)}.ipxe`,
        `#!ipxe\n# ${origin}\n${top}${boots(site, machine.words, '../')}`,
      ]
    }),
  ])
}

/** Machines by name, and not "whatever file is there": a server that does not answer must not make one machine another. */
function bootScript(site: Site): string {
  checkWords('ipxe', site.words, 'all machines')
  const own = site.machines.map(
    ({ mac }) => `iseq ${card} ${hyphened(mac)} && chain --autofree machines/${hyphened(mac)}.ipxe ||\n`,
  )
  const known = site.machines.map(({ mac }) => `iseq ${card} ${hyphened(mac)} && goto failed ||\n`)
  return `#!ipxe
# ${origin}
# Names are relative to this script, so that the directory can be served from anywhere, by HTTP or TFTP.
${own.join('')}${known.join('')}${boots(site, site.words, '')}`
}

/**
 * The state that this script names stays published for one more publication; a client that is later than that begins
 * again with boot.ipxe, and so with the present one.
 */
function boots({ boot, ip }: Site, words: readonly string[], up: string): string {
  const given = [`BOOTIF=01-${card}`, ...addressWords(ip)]
  const line = ['kernel', `${up}${boot.kernel}`, 'initrd=initrd', ...given, ...words.map(quoteForKernel)]
  return `imgfree
${line.join(' ')} || goto failed
initrd ${up}${boot.initrd} || goto failed
boot || goto failed
:failed
echo Could not fetch ${boot.kernel} and ${boot.initrd}, or could not start them. Trying again in 10 seconds.
sleep 10
chain --replace --autofree ${up}boot.ipxe || goto failed
`
}

/** nfsroot.rst of the kernel: client:server:gateway:netmask:hostname:device:autoconf:dns. */
function addressWords(ip: AddressHandOver): readonly string[] {
  if (ip === 'dhcp') return ['ip=dhcp']
  if (ip !== 'lease') return []
  const lease = ['ip', 'next-server', 'gateway', 'netmask', 'hostname'].map(setting)
  return [`ip=${[...lease, '', 'none', setting('dns')].join(':')}`]
}

/** Of the card; iPXE puts its value there. */
function setting(name: string): string {
  return `\${netX/${name}}`
}
