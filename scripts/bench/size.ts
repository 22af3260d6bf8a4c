/** Initrds with the same modules, each compressed by zstd at its highest usual level: what is left is the peers' programs. */

import { statSync } from 'node:fs'
import { selectModules } from '../../build/modules.ts'
import { nfsModules } from './nfs.ts'
import { makePeerWith, type Peer, peers } from './peers.ts'
import type { Contest, Subject } from './row.ts'
import { fingerprint, type Workshop } from './workshop.ts'

export async function sizeContests(shop: Workshop): Promise<Contest[]> {
  const ours = await shop.ours(nfsModules)
  const names = selectModules(shop.catalog, nfsModules).modules.map(({ name }) => name)
  const made: Subject[] = [sized('diskless', ours)]
  const rivals: readonly Peer[] = [peers.initramfs, peers.dracut, peers.live]
  for (const peer of rivals)
    made.push(sized(peer.name, await makePeerWith(names, peer, shop.kernel, shop.peers)))
  const modules = `the ${names.length} modules of ${nfsModules.join(', ')}`
  return [
    {
      id: 'size',
      group: 'size',
      title: 'initrd with the same modules',
      unit: 'MB',
      exact: true,
      goals: rivals.map(({ name }) => ({ against: name, atMost: 0.5 })),
      note: `${modules}, zstd -19; live-boot adds the file systems that it always brings`,
      subjects: made,
    },
  ]
}

function sized(name: string, file: string): Subject {
  return {
    name,
    basis: fingerprint({ file, append: '' }),
    measure: async () => ({ value: statSync(file).size / 1e6 }),
  }
}
