/** An image of 30 MB, fetched over HTTP into memory. */

import { join } from 'node:path'
import { Lab } from '../../test/support/lab/index.ts'
import { imageFloor, makeFloor } from './floor.ts'
import { noShell, peers } from './peers.ts'
import type { Contest } from './row.ts'
import { imageName } from './target.ts'
import type { Entrant, Workshop } from './workshop.ts'

const url = `http://${Lab.address}/${imageName}`

/** Ours first, then the floor. */
export async function imageEntrants(shop: Workshop): Promise<readonly Entrant[]> {
  return [
    {
      name: 'diskless',
      file: await shop.ours(['virtio', 'common-ethernet']),
      append: `ip=dhcp root=live:${url}`,
    },
    {
      name: 'floor',
      isFloor: true,
      file: await makeFloor(imageFloor(url), shop.catalog, join(shop.directory, 'floor-image')),
      append: '',
    },
    await shop.peer(peers.live, `boot=live components fetch=${url} ip=dhcp`),
    // Without `overlayfs=1` it takes a plain squashfs for one that holds an ext4.
    await shop.peer(
      peers.livenet,
      `root=live:${url} rd.live.overlay.overlayfs=1 ip=dhcp rd.neednet=1 ${noShell}`,
    ),
  ]
}

export async function imageContests(shop: Workshop): Promise<Contest[]> {
  const entrants = await imageEntrants(shop)
  return [
    {
      id: `image${shop.byClock.id}`,
      group: 'image',
      title: `squashfs of 30 MB over HTTP${shop.byClock.title}`,
      unit: 's',
      alone: shop.byClock.alone,
      goals: [{ against: 'floor', atMost: 1.3 }],
      subjects: entrants.map((entrant) => shop.timed(entrant)),
    },
  ]
}
