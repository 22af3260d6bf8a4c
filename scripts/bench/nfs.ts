/** A root over NFS: against the floor of the same version, and the peer that boots by it. */

import { join } from 'node:path'
import { Lab } from '../../test/support/lab/index.ts'
import { makeFloor, nfsFloor } from './floor.ts'
import { noShell, peers } from './peers.ts'
import type { Contest } from './row.ts'
import { type Entrant, share, type Workshop } from './workshop.ts'

/** For a machine of QEMU, and with cards that are usual. */
export const nfsModules = ['virtio', 'common-ethernet', 'nfs']

const root = `${Lab.address}:${share}`

/** Ours first, then the floor. */
export async function nfsEntrants(shop: Workshop, version: '3' | '4.2'): Promise<readonly Entrant[]> {
  const floor = nfsFloor(version, Lab.address, share)
  return [
    {
      name: 'diskless',
      file: await shop.ours(nfsModules),
      append: `ip=dhcp root=nfs:${root}${version === '3' ? ',vers=3' : ''}`,
    },
    {
      name: 'floor',
      isFloor: true,
      file: await makeFloor(floor, shop.catalog, join(shop.directory, `floor-nfs${version}`)),
      append: '',
    },
    version === '3'
      ? await shop.peer(peers.initramfs, `root=/dev/nfs nfsroot=${root} ip=dhcp`)
      : await shop.peer(peers.dracut, `root=nfs:${root} ip=dhcp rd.neednet=1 ${noShell}`),
  ]
}

export async function nfsContests(shop: Workshop): Promise<Contest[]> {
  const versions = ['3', '4.2'] as const
  const contests = versions.map(async (version): Promise<Contest> => {
    const entrants = await nfsEntrants(shop, version)
    return {
      id: `nfs${version}${shop.byClock.id}`,
      group: 'nfs',
      title: `NFS root, version ${version}${shop.byClock.title}`,
      unit: 's',
      alone: shop.byClock.alone,
      goals: [{ against: 'floor', atMost: 1.2 }],
      subjects: entrants.map((entrant) => shop.timed(entrant)),
    }
  })
  return Promise.all(contests)
}
