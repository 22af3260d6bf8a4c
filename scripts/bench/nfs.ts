/** A root over NFS: against the floor of the same version, and the peer that boots by it. */

import { join } from 'node:path'
import { Lab } from '../../test/support/lab/index.ts'
import { makeFloor, nfsFloor } from './floor.ts'
import { makePeer, peers } from './peers.ts'
import type { Contest } from './row.ts'
import { share, type Workshop } from './workshop.ts'

/** A machine of QEMU, and cards that are usual. */
export const nfsModules = ['virtio', 'common-ethernet', 'nfs']

const server = Lab.address

export async function nfsContests(shop: Workshop): Promise<Contest[]> {
  const file = await shop.ours(nfsModules)
  const floor = (version: '3' | '4.2') =>
    makeFloor(nfsFloor(version, server, share), shop.catalog, join(shop.directory, `floor-nfs${version}`))
  const [initramfs, dracut] = [
    await makePeer(peers['initramfs-tools'], shop.kernel, shop.peers),
    await makePeer(peers.dracut, shop.kernel, shop.peers),
  ]
  return [
    {
      id: 'nfs3',
      group: 'nfs',
      title: 'NFS root, version 3',
      unit: 's',
      goals: [{ against: 'floor', atMost: 1.2 }],
      subjects: [
        shop.timed('diskless', { file, append: `ip=dhcp root=nfs:${server}:${share},vers=3` }),
        shop.timed('floor', { file: await floor('3'), append: '' }, true),
        shop.timed('initramfs-tools', {
          file: initramfs,
          append: `root=/dev/nfs nfsroot=${server}:${share} ip=dhcp`,
        }),
      ],
    },
    {
      id: 'nfs4',
      group: 'nfs',
      title: 'NFS root, version 4.2',
      unit: 's',
      goals: [{ against: 'floor', atMost: 1.2 }],
      subjects: [
        shop.timed('diskless', { file, append: `ip=dhcp root=nfs:${server}:${share}` }),
        shop.timed('floor', { file: await floor('4.2'), append: '' }, true),
        shop.timed('dracut, lean', {
          file: dracut,
          append: `root=nfs:${server}:${share} ip=dhcp rd.neednet=1 rd.shell=0 rd.emergency=poweroff`,
        }),
      ],
    },
  ]
}
