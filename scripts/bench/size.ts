/** Initrds with the same modules, each compressed by zstd at its highest usual level: what is left is the peers' programs. */

import { statSync } from 'node:fs'
import { selectModules } from '../../build/modules.ts'
import { nfsModules } from './nfs.ts'
import { peers } from './peers.ts'
import type { Contest, Subject } from './row.ts'
import { type Entrant, fingerprint, type Workshop } from './workshop.ts'

export async function sizeContests(shop: Workshop): Promise<Contest[]> {
  const ours: Entrant = { name: 'diskless', file: await shop.ours(nfsModules), append: '' }
  const names = selectModules(shop.catalog, nfsModules).modules.map(({ name }) => name)
  const rivals: Entrant[] = []
  for (const peer of [peers.initramfs, peers.dracut, peers.live])
    rivals.push(await shop.peer(peer, '', names))
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
      subjects: [ours, ...rivals].map(sized),
    },
  ]
}

function sized({ append, file, name }: Entrant): Subject {
  const measure = async () => {
    if (file instanceof Error) throw file
    return { value: statSync(file).size / 1e6 }
  }
  return { name, basis: fingerprint({ append, file }), measure }
}
