/** The smallest memory that boots, found by halving a list of sizes. */

import { imageEntrants } from './image.ts'
import { nfsEntrants } from './nfs.ts'
import type { Contest, Goal, Subject } from './row.ts'
import { type Entrant, fingerprint, type Workshop } from './workshop.ts'

/** MiB, for QEMU's -m. */
const sizes = [64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256, 320, 384, 448, 512, 768]

/** Of this machine's time, by TCG's own clock: who lacks memory often hangs. */
const patienceMs = 120_000

export async function memoryContests(shop: Workshop): Promise<Contest[]> {
  const contest = (id: string, title: string, entrants: readonly Entrant[], goals: readonly Goal[] = []) => ({
    id,
    group: 'memory' as const,
    title,
    unit: 'MiB' as const,
    exact: true,
    goals,
    subjects: entrants.map((entrant) => smallest(shop, entrant)),
  })
  return [
    contest('memory-nfs3', 'memory for an NFS root, version 3', await nfsEntrants(shop, '3'), [
      { atMost: 112 },
    ]),
    contest('memory-nfs4.2', 'memory for an NFS root, version 4.2', await nfsEntrants(shop, '4.2'), [
      { atMost: 112 },
    ]),
    contest('memory-image', 'memory for a squashfs of 30 MB', await imageEntrants(shop)),
  ]
}

function smallest(shop: Workshop, entrant: Entrant): Subject {
  const boots = async (memoryMb: number) => {
    try {
      await shop.boot(entrant, { memoryMb, clock: 'tcg', patienceMs })
      return true
    } catch {
      // Whatever it said, it did not boot.
      return false
    }
  }
  const measure = async () => {
    let [least, most] = [0, sizes.length]
    while (least < most) {
      const middle = Math.floor((least + most) / 2)
      if (await boots(sizes[middle] ?? 0)) most = middle
      else least = middle + 1
    }
    const value = sizes[least]
    if (value === undefined) throw new Error(`it does not boot with ${sizes.at(-1)} MiB either`)
    return { value }
  }
  return { name: entrant.name, isFloor: entrant.isFloor ?? false, basis: fingerprint(entrant), measure }
}
