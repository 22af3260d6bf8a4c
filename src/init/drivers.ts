/**
 * The drivers phase: modules for the hardware that is there. Network cards come first: they decide
 * how soon a lease is asked for. What loads a bus (virtio_pci, xhci) makes new devices, so it goes on in rounds.
 */

import { showCount } from '../boot/format.ts'
import type { BootPlan } from '../boot/plan.ts'
import { isNetworkCard } from '../network/cards.ts'
import { type Device, hasCode, type Sys } from '../sys/index.ts'
import type { Report } from './story.ts'

/** Wanted whatever the hardware is, where the initrd has them: packet sockets (DHCP), squashfs and loop (modloop), a screen. */
const always = ['af_packet', 'simpledrm', 'loop', 'squashfs', 'overlay']

/** Bytes. With less, loading nfsv4 may fail for want of what the drivers loaded before it occupy as files. */
const plentyOfMemory = 256 << 20

export async function loadDrivers(sys: Sys, plan: BootPlan, report: Report): Promise<void> {
  if (plan.machine.memoryAvailable < plentyOfMemory && !keepsModules(plan)) await sys.modules.discardLoaded()
  const modules = new ModuleSet(sys, plan, report)
  report.meanwhile('the watch for new devices', (signal) => followHotplug(sys, modules, signal))
  await modules.loadAll(['af_packet'])
  for (let round = 1; round <= 8; round++) {
    const devices = await sys.devices.list()
    const fresh = [
      ...(await modules.loadFor(devices.filter(isNetworkCard))),
      ...(await modules.loadFor(devices)),
    ]
    if (fresh.length === 0) break
  }
  // A card that a bus has only just brought: what is not in a hurry would take its processor.
  await modules.loadedAll()
  await modules.loadAll([...always, ...plan.modules])
  report.detail(summary(modules.loaded))
}

/** Whether the new system gets the initrd's files. */
function keepsModules({ root }: BootPlan): boolean {
  return root.kind === 'ram' && root.modules.kind === 'keep'
}

/** Devices that appear later: a USB card, a slow firmware. */
async function followHotplug(sys: Sys, modules: ModuleSet, signal: AbortSignal): Promise<void> {
  for (let missed = false; !signal.aborted; missed = true) {
    const events = sys.devices.watch(signal)
    // What came while nobody watched is found by looking at everything again.
    if (missed) await modules.loadFor(await sys.devices.list())
    try {
      for await (const { action, environment } of events) {
        const modalias = environment.MODALIAS
        if (action === 'add' && modalias !== undefined) await modules.loadMatching([modalias])
      }
    } catch (error) {
      // More events than the socket holds.
      if (!hasCode(error, 'ENOBUFS')) throw error
    }
  }
}

/** The modules tried in this boot; each once. */
class ModuleSet {
  readonly loaded: string[] = []
  readonly #sys: Sys
  readonly #plan: BootPlan
  readonly #report: Report
  readonly #seen = new Set<string>()
  readonly #blacklist: ReadonlySet<string>
  readonly #loading = new Set<Promise<void>>()

  constructor(sys: Sys, plan: BootPlan, report: Report) {
    this.#sys = sys
    this.#plan = plan
    this.#report = report
    this.#blacklist = new Set(plan.blacklist.map(canonical))
  }

  /** Names of the modules that are new because of these devices. */
  loadFor(devices: readonly Device[]): Promise<readonly string[]> {
    return this.loadMatching(devices.flatMap(({ modalias }) => modalias ?? []))
  }

  async loadMatching(modaliases: readonly string[]): Promise<readonly string[]> {
    const fresh = modaliases.filter((modalias) => !this.#seen.has(modalias))
    for (const modalias of fresh) this.#seen.add(modalias)
    if (fresh.length === 0) return []
    const names = (await this.#sys.modules.match(fresh)).filter(
      (name) => !this.#blacklist.has(canonical(name)),
    )
    return this.loadAll(names)
  }

  /** One that fails is told and left: another driver, or another card, may do. */
  async loadAll(names: readonly string[]): Promise<readonly string[]> {
    const fresh = names.filter((name) => !this.#seen.has(name))
    const loading = Promise.all(fresh.map((name) => this.#load(name))).then(() => {})
    this.#loading.add(loading)
    try {
      await loading
    } finally {
      this.#loading.delete(loading)
    }
    return fresh
  }

  /** Resolves when nothing is being loaded, whoever asked for it. */
  async loadedAll(): Promise<void> {
    while (this.#loading.size > 0) await Promise.allSettled(this.#loading)
  }

  async #load(name: string): Promise<void> {
    this.#seen.add(name)
    try {
      await this.#sys.modules.load(name)
      this.loaded.push(name)
    } catch (error) {
      const asked = this.#plan.modules.includes(name)
      if (!hasCode(error, 'ENOENT')) this.#report.warn(`the driver ${name} did not load: ${String(error)}`)
      else if (asked) this.#report.warn(`modules=${name}: this initrd has no module of that name`)
    }
  }
}

/** modules.alias(5) writes - and _ alike. */
function canonical(name: string): string {
  return name.replaceAll('-', '_')
}

function summary(loaded: readonly string[]): string {
  const shown = loaded.filter((name) => !always.includes(name))
  const names = shown.slice(0, 6).join(' ')
  return shown.length > 6 ? `${names} and ${showCount(shown.length - 6, 'more module', 'more')}` : names
}
