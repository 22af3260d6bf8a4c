/** The smallest memory that boots, found on a ladder of sizes. */

import { imageEntrants } from './image.ts'
import { nfsEntrants } from './nfs.ts'
import type { Contest, Goal, Subject } from './row.ts'
import { least } from './search.ts'
import { type Entrant, fingerprint, type Workshop } from './workshop.ts'

/** MiB, for QEMU's -m. */
const step = 16
const sizes = Array.from({ length: 46 }, (_, at) => 48 + at * step)

/** Where to look first, so that fewer boots are needed: MiB seen once. */
const usual: Readonly<Record<string, number>> = {
  diskless: 112,
  floor: 96,
  'initramfs-tools': 208,
  'dracut, lean': 256,
  'live-boot': 384,
  'dracut livenet': 384,
}

export async function memoryContests(shop: Workshop): Promise<Contest[]> {
  const contest = (id: string, title: string, entrants: readonly Entrant[], goals: readonly Goal[] = []) => ({
    id,
    group: 'memory' as const,
    title,
    unit: 'MiB' as const,
    exact: true,
    goals,
    subjects: entrants.map((entrant) => smallest(shop, entrant)),
    note: `in steps of ${step} MiB`,
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
  const { isFloor = false, name } = entrant
  const boots = async (memoryMb: number) => {
    try {
      await shop.boot(entrant, { memoryMb, clock: 'instructions' })
      return true
    } catch {
      // Whatever it said, it did not boot.
      return false
    }
  }
  const measure = async () => {
    if (entrant.file instanceof Error) throw entrant.file
    const value = await least(sizes, usual[name] ?? 0, boots)
    if (value === undefined) throw new Error(`it does not boot with ${sizes.at(-1)} MiB either`)
    return { value }
  }
  return { name, isFloor, basis: fingerprint(entrant), measure }
}
