/** Whether the packages fit, asked before the first byte is fetched: a tmpfs that is full in the middle helps nobody. */

import { showBytes } from '../boot/format.ts'
import type { Sys } from '../sys/index.ts'
import { BootError } from '../sys/index.ts'
import type { SelectedPackage } from './select.ts'

const BIGGEST_TOLD = 5

export async function checkSpace(
  sys: Pick<Sys, 'files'>,
  root: string,
  packages: readonly SelectedPackage[],
): Promise<void> {
  const needed = packages.reduce((sum, { installedSize }) => sum + installedSize, 0)
  const { free, total } = await sys.files.space(root)
  // A ramfs has no size, and says 0.
  if (total === 0 || needed <= free) return
  throw new BootError(
    `The ${packages.length} packages of the world take ${showBytes(needed)}, and the new root has ${showBytes(free)} free of ${showBytes(total)}`,
    { advice: [...roomAdvice, `The biggest are ${biggest(packages)}.`] },
  )
}

export const roomAdvice = [
  'Give the machine more memory, or the root more of it: rootflags=size=80%.',
  'Or ask for fewer packages in etc/apk/world of the overlay.',
]

function biggest(packages: readonly SelectedPackage[]): string {
  return [...packages]
    .sort((a, b) => b.installedSize - a.installedSize)
    .slice(0, BIGGEST_TOLD)
    .map(({ name, installedSize }) => `${name} (${showBytes(installedSize)})`)
    .join(', ')
}
