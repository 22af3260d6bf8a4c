/** Network cards among the devices of a machine, whatever bus they are on. Pure. */

import type { Device } from '../sys/index.ts'

/** By driver: files of firmware that it may ask for and that the initrd lacks. */
export type MissingFirmware = ReadonlyMap<string, readonly string[]>

/**
 * Buses that tell a card by a number: virtio (VIRTIO_ID_NET), Hyper-V (its network's GUID), Xen, the device tree. USB has too
 * many ways to be a card, and ACPI too many names.
 */
const CARD_ALIAS = /^(?:virtio:d00000001v|vmbus:635161f83edfc546913ff2d2f965ed0e|xen:vif|of:Nethernet)/

/** PCI class 02xx, or what another bus calls a card. */
export function isNetworkCard({ pciClass, modalias }: Device): boolean {
  return pciClass?.startsWith('02') === true || CARD_ALIAS.test(modalias ?? '')
}

/**
 * Cards that no driver took: `0000:00:03.0 (pci:v00008086d0000100E…)`, and why not, as far as the builder knows. `modulesFor`:
 * names of the initrd's modules for a modalias.
 */
export async function driverlessCards(
  devices: readonly Device[],
  modulesFor: (modalias: string) => Promise<readonly string[]>,
  missing: MissingFirmware,
): Promise<readonly string[]> {
  const cards = devices.filter((device) => isNetworkCard(device) && device.driver === undefined)
  return Promise.all(
    cards.map(async ({ path, modalias }) => {
      const name = `${path.slice(path.lastIndexOf('/') + 1)} (${modalias ?? 'no modalias'})`
      const modules = modalias === undefined ? [] : await modulesFor(modalias)
      const lacking = modules.flatMap((module) => {
        const files = missing.get(module) ?? []
        return files.length === 0
          ? []
          : [`${module} asks for firmware that this initrd lacks: ${some(files)}`]
      })
      if (lacking.length > 0) return `${name}, as ${lacking.join(' and ')}`
      return modules.length === 0 ? name : `${name}, for which ${modules.join(', ')} was tried`
    }),
  )
}

/** Drivers name the files of every chip that they drive. */
export function some(files: readonly string[]): string {
  const shown = files.slice(0, 3).join(', ')
  return files.length > 3 ? `${shown} and ${files.length - 3} more` : shown
}

/** What the builder wrote (build/initrd.ts): a line a file, `DRIVER NAME`. */
export function parseMissingFirmware(text: string): MissingFirmware {
  const missing = new Map<string, string[]>()
  for (const line of text.split('\n')) {
    const [driver, name] = line.split(' ')
    if (driver && name) missing.set(driver, [...(missing.get(driver) ?? []), name])
  }
  return missing
}
