/** servers/command-line and one a machine: what kernels are given, for `diskless explain "$(cat FILE)"`. */

import { hyphened, type Site } from './site.ts'
import { quoteForKernel } from './words.ts'

/** Without what the loader adds of the machine itself: BOOTIF, and with `ip: 'lease'` its address. */
export function commandLines(site: Site): ReadonlyMap<string, string> {
  return new Map([
    ['servers/command-line', commandLine(site, site.words)],
    ...site.machines.map(({ mac, words }): [string, string] => [
      `servers/command-line-${hyphened(mac)}`,
      commandLine(site, words),
    ]),
  ])
}

function commandLine({ ip }: Site, words: readonly string[]): string {
  return `${[...(ip === 'dhcp' ? ['ip=dhcp'] : []), ...words.map(quoteForKernel)].join(' ')}\n`
}
