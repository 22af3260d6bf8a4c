/**
 * The drivers that one machine needs, by what its kernel says of its devices (modaliases): cards, disks, keyboards and the
 * buses that they are on. What is for a desktop, sound and wireless alike, is the new system's to load.
 */

import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Catalog, globExpression, type Module } from './catalog.ts'
import { CommandError } from './error.ts'

/** Run on the machine, by whatever system it has now; a live one will do. */
export const modaliasCommand = 'find /sys -name modalias -exec cat {} + | sort -u'

export interface MachineDrivers {
  readonly modules: readonly Module[]
  /** Modaliases that the kernel needs no module for. */
  readonly builtin: number
  /** Modules for what a boot does without. */
  readonly passedOver: readonly string[]
  /** Cards and disk controllers that this kernel has no driver of. */
  readonly driverless: readonly string[]
  /** Other devices without one: bridges, sensors, buttons; mostly they need none. */
  readonly others: number
}

/** Throws a `CommandError` where the text is no list of modaliases. */
export function parseModaliases(text: string, shown: string): readonly string[] {
  const lines = text.split(/[\n\0]/).flatMap((line) => line.trim() || [])
  const wrong = lines.filter((line) => !/^[a-z][a-z\d_-]*:\S/i.test(line))
  const aliases = new Set(lines.filter((line) => !wrong.includes(line)))
  if (aliases.size > 0 && wrong.length * 4 <= lines.length) return [...aliases].sort()
  throw new CommandError(
    aliases.size === 0 && wrong.length === 0
      ? `${shown} is empty`
      : `${shown} is no list of modaliases: '${wrong[0]?.slice(0, 60)}' is none`,
    { advice: [`On the machine itself: ${modaliasCommand}`] },
  )
}

/** Where the drivers lie that a boot may need; wireless cards and modems are no way to a boot server. */
const wanted =
  /^(updates|extra|kernel\/drivers\/(net|ata|scsi|nvme|block|mmc|memstick|message|virtio|hv|xen|hid|usb|input|firewire|md|cdrom|pci|bus|misc\/cardreader|mfd|char\/(virtio|hw_random)|rtc|nvdimm|target|ufs|pinctrl|gpio|i2c|dma|phy|clk|regulator|reset|soc|iommu|thunderbolt))\//
const unwanted =
  /^kernel\/drivers\/(net\/(wireless|wwan|ieee802154|can|hamradio)|usb\/(serial|misc|class|image|gadget|typec)|input\/(joystick|tablet|touchscreen|misc))\//

export function driversOf(catalog: Catalog, modaliases: readonly string[]): MachineDrivers {
  const matching = matcherOf(busAliases(catalog.modules.values()))
  const builtins = matcherOf(builtinAliases(catalog.directory))
  const modules = new Set<Module>()
  const passedOver = new Set<string>()
  const driverless: string[] = []
  let [builtin, others] = [0, 0]
  for (const modalias of modaliases) {
    const found = matching(modalias)
    for (const module of found) {
      if (wanted.test(module.path) && !unwanted.test(module.path)) modules.add(module)
      else passedOver.add(module.name)
    }
    if (found.length > 0) continue
    if (builtins(modalias).length > 0) builtin++
    else if (isCardOrDisk(modalias)) driverless.push(modalias)
    else others++
  }
  return { modules: [...modules], builtin, passedOver: [...passedOver].sort(), driverless, others }
}

/** PCI's base classes 01 and 02; virtio's devices 1, 2 and 8 (network, block, SCSI). */
function isCardOrDisk(modalias: string): boolean {
  return /^pci:.*bc0[12]sc/.test(modalias) || /^virtio:d0000000[128]v/.test(modalias)
}

type Matcher<T> = (modalias: string) => readonly T[]

/** modules.alias(5): `-` and `_` are the same; an alias's bus is its text up to the first colon, `acpi` for `acpi*:ACME0001:*`. */
function matcherOf<T>(aliases: Iterable<readonly [alias: string, owner: T]>): Matcher<T> {
  const same = (text: string) => text.replaceAll('-', '_')
  const busOf = (text: string) => same(text.slice(0, text.indexOf(':')).replace('*', ''))
  const buses = new Map<string, { readonly alias: string; readonly owner: T; expression?: RegExp }[]>()
  for (const [alias, owner] of aliases) {
    const bus = buses.get(busOf(alias))
    if (bus === undefined) buses.set(busOf(alias), [{ alias, owner }])
    else bus.push({ alias, owner })
  }
  return (modalias) =>
    (buses.get(busOf(modalias)) ?? [])
      .filter((entry) => {
        // Compiled when first needed: there are tens of thousands, and most machines have a few buses.
        entry.expression ??= globExpression(same(entry.alias))
        return entry.expression.test(same(modalias))
      })
      .map(({ owner }) => owner)
}

function* busAliases(modules: Iterable<Module>): Generator<[string, Module]> {
  for (const module of modules)
    for (const alias of module.aliases) if (alias.includes(':')) yield [alias, module]
}

/** modules.builtin.modinfo: `module.key=value`, each ended by a zero. Kernels before 5.2 have none. */
function* builtinAliases(directory: string): Generator<[string, string]> {
  const path = join(directory, 'modules.builtin.modinfo')
  if (!existsSync(path)) return
  for (const line of readFileSync(path, 'utf8').split('\0')) {
    const [, name, alias] = /^([^.=]+)\.alias=(.+:.*)$/.exec(line) ?? []
    if (name !== undefined && alias !== undefined) yield [alias, name]
  }
}

/** For a person, each a sentence. */
export function describeDrivers(drivers: MachineDrivers, version: string): readonly string[] {
  const { driverless, passedOver } = drivers
  return [
    ...(driverless.length === 0
      ? []
      : [
          `Linux ${version} has no driver of ${driverless.length === 1 ? 'this device' : 'these devices'}, and the machine may need it to boot: ${driverless.join(', ')}`,
        ]),
    ...(passedOver.length === 0
      ? []
      : [
          `left to the new system, as no boot needs them: ${passedOver.join(', ')} (--modules NAME takes one along)`,
        ]),
  ]
}
