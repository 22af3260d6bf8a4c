/** What would get between a machine and the network that its root comes by. Cards are init's business, at each boot. */

import { removal } from './own.ts'
import type { Look } from './step.ts'

/** Init writes the servers of this boot there: in memory with links, above the export without. */
export const resolver: Look = (tree) => {
  const target = tree.linkAt('etc/resolv.conf')
  const why =
    'the name servers are those of the boot, which init writes to /var/resolv.conf: /etc is of all machines'
  // A program of the system makes it anew at each boot: resolvconf, systemd-resolved, NetworkManager.
  if (target !== undefined && /^(\.\.)?\/?(var\/)?run\//.test(target)) return undefined
  if (target === '/var/resolv.conf') return undefined
  return { why, steps: [{ kind: 'link', path: tree.place('etc/resolv.conf'), target: '/var/resolv.conf' }] }
}

/** udev's, before its names were predictable. */
export const persistentNames: Look = (tree) => {
  const names = tree.list('etc/udev/rules.d').filter((name) => /^\d+-persistent-(net|cd)\.rules$/.test(name))
  return removal(
    tree,
    names.map((name) => `etc/udev/rules.d/${name}`),
    'they name the cards of the machine that this was installed on: another machine’s first card would be its second',
  )
}

/** Red Hat's of old: `chkconfig --del`, as the seed's mkbootready does it. */
export const networkScripts: Look = (tree) => {
  const links = ['etc', 'etc/rc.d'].flatMap((directory) =>
    ['0', '1', '2', '3', '4', '5', '6'].flatMap((level) =>
      tree
        .list(`${directory}/rc${level}.d`)
        .filter((name) => /^[SK]\d\d(network|kudzu)$/.test(name))
        .map((name) => tree.place(`${directory}/rc${level}.d/${name}`)),
    ),
  )
  return removal(
    tree,
    [...new Set(links)],
    'network is up when they run, and taking it down takes the root away; kudzu cannot write what it finds',
  )
}
