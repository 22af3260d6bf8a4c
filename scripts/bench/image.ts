/** An image of 30 MB, fetched over HTTP into memory. */

import { join } from 'node:path'
import { Lab } from '../../test/support/lab/index.ts'
import { imageFloor, makeFloor } from './floor.ts'
import { makePeer, peers } from './peers.ts'
import type { Contest } from './row.ts'
import { imageName } from './target.ts'
import type { Workshop } from './workshop.ts'

const url = `http://${Lab.address}/${imageName}`

export async function imageContests(shop: Workshop): Promise<Contest[]> {
  const file = await shop.ours(['virtio', 'common-ethernet'])
  const floor = await makeFloor(imageFloor(url), shop.catalog, join(shop.directory, 'floor-image'))
  return [
    {
      id: 'image',
      group: 'image',
      title: 'squashfs of 30 MB over HTTP',
      unit: 's',
      goals: [{ against: 'floor', atMost: 1.3 }],
      subjects: [
        shop.timed('diskless', { file, append: `ip=dhcp root=live:${url}` }),
        shop.timed('floor', { file: floor, append: '' }, true),
        shop.timed('live-boot', {
          file: await makePeer(peers['live-boot'], shop.kernel, shop.peers),
          append: `boot=live components fetch=${url} ip=dhcp`,
        }),
        shop.timed('dracut livenet', {
          file: await makePeer(peers.livenet, shop.kernel, shop.peers),
          // Else it takes a plain squashfs for one that holds an ext4.
          append: `root=live:${url} rd.live.overlay.overlayfs=1 ip=dhcp rd.neednet=1 rd.shell=0 rd.emergency=poweroff`,
        }),
      ],
    },
  ]
}
