/**
 * Makes the links of `vlan=` and `bond=`, each as soon as what it lies on is there. A bond gets its options and its members
 * through sysfs and netlink in the order that bonding.rst of the kernel wants: options while it has no member, members while
 * they are down.
 */

import { type BondLink, beneath, type StackedLink } from '../boot/stacked-links.ts'
import { BootError, hasCode, type Sys, SysError } from '../sys/index.ts'

export interface StackRequest {
  /** In an order in which each lies on what stands before it, or on cards. */
  readonly links: readonly StackedLink[]
  /** Settles when the drivers of what is there were loaded. */
  readonly coldplug: Promise<unknown>
  /** How long after that a card may take to appear, milliseconds. */
  readonly cardMs: number
  readonly onNotice: (text: string) => void
}

type StackSys = Pick<Sys, 'network' | 'clock' | 'files' | 'modules'>

/** With `max_bonds`, or the driver makes a bond0 of its own, in another mode. */
const MODULES = { vlan: ['8021q', ''], bond: ['bonding', 'max_bonds=0'] } as const

/**
 * Resolves when all are made; the topmost are still down. Can be run again: a link that is there already is used.
 *
 * Rejects with a `BootError` (a card that does not appear, an option that the driver refuses), or with ABORTED.
 */
export async function stackLinks(sys: StackSys, request: StackRequest, signal: AbortSignal): Promise<void> {
  const { cardMs, coldplug } = request
  const due = coldplug.then(
    () => sys.clock.sleep(cardMs, signal),
    () => sys.clock.sleep(cardMs, signal),
  )
  // Rejects with ABORTED only, which everything here does as well.
  due.catch(() => {})
  const cards = async (names: readonly string[]) => {
    const there = await untilThere(sys, names, due, signal)
    return names.filter((name) => there.has(name))
  }
  for (const link of request.links) {
    await loadDriver(sys, link)
    if (link.kind === 'bond') await makeBond(sys, link, request, cards)
    else {
      if ((await cards([link.parent])).length === 0) throw await missing(sys, link)
      await sys.network.setLink(link.parent, { up: true }).catch(refused(link))
      await addLink(sys, link)
    }
  }
}

async function loadDriver(sys: StackSys, { kind, name }: StackedLink): Promise<void> {
  const [module, parameters] = MODULES[kind]
  try {
    await sys.modules.load(module, parameters)
  } catch (cause) {
    // Some kernels have it built in without saying so: the link itself tells.
    if (!hasCode(cause, 'ENOENT'))
      throw new BootError(`${module}, which ${name} needs, did not load`, { cause })
  }
}

/** False: it was there. */
async function addLink(sys: StackSys, link: StackedLink): Promise<boolean> {
  const { kind, name } = link
  try {
    await sys.network.addLink(kind === 'vlan' ? link : { kind, name })
    return true
  } catch (error) {
    if (hasCode(error, 'EEXIST')) return false
    if (!hasCode(error, 'EOPNOTSUPP')) return refused(link)(error)
    throw new BootError(`${name} cannot be made: this initrd has no module ${MODULES[kind][0]}`, {
      cause: error,
      advice: ['Build it with the group vlan-bond: --modules virtio,common-ethernet,vlan-bond'],
    })
  }
}

async function makeBond(
  sys: StackSys,
  link: BondLink,
  request: StackRequest,
  cards: (names: readonly string[]) => Promise<readonly string[]>,
): Promise<void> {
  const { name, members, mtu, options } = link
  const isNew = await addLink(sys, link)
  // In the order in which they are named, not in that of their drivers: the first gives the hardware address.
  const there = await cards(members)
  if (there.length === 0) throw await missing(sys, link)
  const lost = members.filter((member) => !there.includes(member))
  if (lost.length > 0) request.onNotice(`${name}: does without ${lost.join(', ')}: not there`)
  const directory = `/sys/class/net/${name}/bonding`
  const had = isNew ? '' : (await sys.files.readText(`${directory}/slaves`).catch(refused(link))).trim()
  const isWritten = had === ''
  const later = options.filter(([option]) => option === 'primary' || option === 'primary_reselect')
  if (isWritten)
    await setOptions(
      sys,
      link,
      options.filter((option) => !later.includes(option)),
    )
  for (const member of there) {
    await sys.network.setLink(member, { up: false }).catch(refused(link))
    await sys.network.setLink(member, { master: name }).catch(refused(link))
    await sys.network.setLink(member, { up: true }).catch(refused(link))
  }
  if (mtu !== undefined) await sys.network.setLink(name, { mtu }).catch(refused(link))
  if (isWritten)
    await setOptions(
      sys,
      link,
      later.filter(([, value]) => !lost.includes(value)),
    )
}

async function setOptions(sys: StackSys, link: BondLink, options: BondLink['options']): Promise<void> {
  for (const [option, value] of options) {
    // A list of targets is written one by one.
    const values = option === 'arp_ip_target' ? value.split(';').map((each) => `+${each}`) : [value]
    for (const each of values) {
      try {
        await sys.files.writeText(`/sys/class/net/${link.name}/bonding/${option}`, each)
      } catch (cause) {
        throw new BootError(`${link.name} does not take ${option}=${value}`, {
          cause,
          advice: ['Look at what the kernel says about it, and at Documentation/networking/bonding.rst.'],
        })
      }
    }
  }
}

/** Those of the links that are there, all of them or when the time is over. */
async function untilThere(
  sys: StackSys,
  names: readonly string[],
  due: Promise<void>,
  signal: AbortSignal,
): Promise<ReadonlySet<string>> {
  const over = new AbortController()
  const stop = () => over.abort()
  signal.addEventListener('abort', stop, { once: true })
  if (signal.aborted) stop()
  due.then(stop, stop)
  const there = new Set<string>()
  try {
    for await (const { name } of sys.network.watchLinks(over.signal)) {
      if (names.includes(name)) there.add(name)
      if (there.size === names.length) break
    }
  } finally {
    over.abort()
    signal.removeEventListener('abort', stop)
  }
  if (!signal.aborted) return there
  const fields = { operation: 'network.stack', subject: names.join(', '), message: 'given up' }
  throw new SysError({ code: 'ABORTED', ...fields })
}

async function missing(sys: StackSys, link: StackedLink): Promise<BootError> {
  const cards = (await sys.network.links()).filter(({ physical }) => physical)
  const names = cards.map(({ name, mac }) => `${name} (${mac})`).join(', ')
  const wanted = beneath(link)
  const what = wanted.length === 1 ? `there is no ${wanted[0]}` : `there is none of ${wanted.join(', ')}`
  return new BootError(
    `${what}, on which ${link.name} is to lie; this machine has ${names === '' ? 'no network card' : names}`,
    { advice: [`Name a card of this machine in ${link.kind}=.`] },
  )
}

function refused({ name, kind }: StackedLink): (cause: unknown) => never {
  return (cause) => {
    if (hasCode(cause, 'ABORTED')) throw cause
    throw new BootError(`${name} could not be made`, {
      cause,
      advice: [`Look at ${kind}=, and at what the kernel says about the links in it.`],
    })
  }
}
