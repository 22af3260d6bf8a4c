/** The story of a boot before it happens, in the order of src/init/main.ts. */

import type { BootPlan } from '../../boot/plan.ts'
import type { Settings } from '../../boot/settings.ts'
import type { BootInitrd } from './boot-initrd.ts'
import { identityOf, type MachineFacts } from './facts.ts'
import { networkSteps } from './network-step.ts'
import { ramSteps } from './ram-steps.ts'
import { mountedSteps } from './root-steps.ts'
import { listed, reasonsFor, type Step, showSeconds } from './step.ts'

export function tellStory(plan: BootPlan, settings: Settings, machine: MachineFacts): readonly Step[] {
  const { root } = plan
  const built =
    root.kind === 'ram' ? ramSteps({ ...plan, root }, settings, machine) : mountedSteps(plan, root, settings)
  const steps = [
    machineStep(plan, settings, machine),
    driversStep(plan, settings, machine),
    ...(plan.keymap === undefined ? [] : [keymapStep(plan.keymap, settings, machine)]),
    ...networkSteps(plan, settings),
    ...built,
    handoffStep(plan, settings),
  ]
  // A boot without media, or without a network, waits for none.
  const phases = new Set(steps.map(({ phase }) => phase))
  return steps.map((step) => ({ ...step, after: step.after.filter((phase) => phases.has(phase)) }))
}

function machineStep(plan: BootPlan, settings: Settings, { initrd }: MachineFacts): Step {
  const { consoles, quiet, debug } = plan
  const clock = identityOf({
    mac: undefined,
    uuid: undefined,
    cards: [],
    memory: undefined,
    architecture: '',
    initrd,
  }).clock
  return {
    phase: 'machine',
    says: [
      'Mounts the kernel’s file systems, and reads the command line and who the machine is.',
      ...(clock === undefined
        ? []
        : [
            `A clock that is before ${new Date(clock.builtAt).toISOString().slice(0, 10)}, the day of the initrd, is set to it.`,
          ]),
      ...(initrd?.init.kind === 'diskless' && initrd.init.hooks.length > 0
        ? [
            `The site’s hooks (${listed(initrd.init.hooks)}) run at the points that they are for: before the network, with the lease, with the root built, before the handoff; an exception in one stops the boot.`,
          ]
        : []),
      `Talks on ${consoles.length === 0 ? 'the kernel’s own console' : listed(consoles)}${quiet ? ', failures and warnings alone' : ''}${debug ? ', with every operation and its outcome' : ''}.`,
    ],
    because: reasonsFor(settings, [
      'console',
      'quiet',
      ...(debug ? (['debug_init', 'diskless.debug'] as const) : []),
    ]),
    after: [],
    asks: [],
  }
}

function driversStep(plan: BootPlan, settings: Settings, { cards, initrd }: MachineFacts): Step {
  const named = plan.modules.length === 0 ? '' : `, at last ${listed(plan.modules)}`
  return {
    phase: 'drivers',
    says: [
      `Loads drivers for network cards first, then for everything else that is there, then what every boot needs (loop, squashfs, overlay, a screen)${named}.`,
      ...(plan.blacklist.length === 0 ? [] : [`Never for hardware: ${listed(plan.blacklist)}.`]),
      ...cards.map((card) => describeCard(card, initrd)),
    ],
    because: reasonsFor(settings, ['modules', 'blacklist']),
    after: ['machine'],
    asks: [],
  }
}

function describeCard(card: string, initrd: BootInitrd | undefined): string {
  if (initrd === undefined) return `${card}: by which module is not known without --initrd.`
  const drivers = initrd.driversOf(card)
  if (drivers.length === 0) return `${card}: no module of the initrd drives it.`
  const lacking = drivers.flatMap((driver) => initrd.missingFirmware.get(driver) ?? [])
  return `${card}: by ${listed(drivers)}${lacking.length === 0 ? '' : `, which may ask for firmware that the initrd lacks (${listed(lacking.slice(0, 3))})`}.`
}

function keymapStep(keymap: string, settings: Settings, { initrd }: MachineFacts): Step {
  const there = initrd === undefined || keymap === 'ask' || initrd.keymaps.includes(keymap)
  return {
    phase: 'keymap',
    says: [
      keymap === 'ask'
        ? 'Asks on the console for a keymap.'
        : `Loads the keymap ${keymap}${there ? '' : ', which the initrd does not have'}.`,
    ],
    because: reasonsFor(settings, settings.all('keymap').length > 0 ? ['keymap'] : ['dokeymap']),
    after: ['drivers'],
    asks: [],
  }
}

function handoffStep(plan: BootPlan, settings: Settings): Step {
  const { init, network, root } = plan
  const lease =
    network.kind === 'none' || network.ip.kind === 'static'
      ? []
      : [
          {
            keep: 'Leaves a small process that renews the leases until a DHCP client of the new system starts.',
            handoff: 'Leaves the leases to the new system’s DHCP client.',
            release: 'Gives the leases back.',
          }[network.lease],
        ]
  const system = root.kind === 'ram' ? ['packages', 'modules'] : ['root']
  return {
    phase: 'handoff',
    says: [
      ...lease,
      `Moves every mount into the new root and starts ${[init.path, ...init.arguments].join(' ')} there, as PID 1, on /dev/${plan.consoles.at(-1) ?? 'console'}.`,
    ],
    because: reasonsFor(settings, [
      'init',
      ...(settings.all('init_args').length > 0 ? (['init_args'] as const) : []),
      ...(lease.length > 0 ? (['diskless.lease'] as const) : []),
    ]),
    after: system,
    asks: [],
  }
}

/** What happens instead when something fails. */
export function tellFailure({ onFailure }: BootPlan, settings: Settings): Step {
  const { action, delayMs, idleMs } = onFailure
  const idle =
    idleMs === undefined
      ? 'and it stays until somebody leaves it'
      : `and where nobody types for ${showSeconds(idleMs)}, another try`
  return {
    phase: 'on failure',
    says: [
      'Says what was tried, what came back and what to do, on every console.',
      {
        shell: `Then a shell, ${idle}.`,
        retry: `Then another try after ${showSeconds(delayMs)}, again and again.`,
        reboot: `Then a reboot after ${showSeconds(delayMs)}.`,
      }[action],
    ],
    because: reasonsFor(settings, [
      'diskless.onfail',
      ...(settings.all('panic').length > 0 ? (['panic'] as const) : []),
      ...(action === 'shell' ? (['diskless.idle'] as const) : []),
    ]),
    after: [],
    asks: [],
  }
}
