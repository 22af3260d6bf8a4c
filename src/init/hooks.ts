/**
 * Runs a site's hooks (hook.ts) at their points, one after the other in the order in which they were given to the
 * builder. Each is a phase of its own, with a word when it takes long and an end to its time.
 */

import { showDuration } from '../boot/format.ts'
import type { BootPlan } from '../boot/plan.ts'
import { settleDisks } from '../media/settle.ts'
import type { NetworkUp } from '../network/network-up.ts'
import { writeIn } from '../root/in-root.ts'
import { sysroot } from '../root/ram.ts'
import { BootError, hasCode, type Sys } from '../sys/index.ts'
import type { BeforeNetwork, Hook, HookContext, LeaseObtained, RootBuilt } from './hook.ts'
import { type CallSites, noteCaller, placeOf, watchCalls } from './hook-places.ts'
import type { Report, Story } from './story.ts'

/** A hook as the builder put it in. */
export interface InstalledHook {
  /** The file, as it was named to the builder: `hooks/name.ts`. */
  readonly name: string
  load(): Promise<{ readonly default: Hook }>
}

interface LoadedHook {
  readonly name: string
  readonly hook: Hook
}

export interface Hooks {
  /** Runs what their modules do when they are imported. To be awaited before the other four are called. */
  load(): Promise<void>
  /** Resolves at once where no hook has anything to do there. Drivers that fail are told by who needs them. */
  beforeNetwork(drivers: () => Promise<void>): () => Promise<void>
  /** Each takes what is to be there first, and goes on with that; without hooks it is that itself. */
  leaseObtained(joined: () => Promise<NetworkUp | undefined>): () => Promise<NetworkUp | undefined>
  rootBuilt(system: Promise<void>, online: () => Promise<NetworkUp | undefined>): Promise<void>
  beforeHandoff(system: Promise<void>, online: () => Promise<NetworkUp | undefined>): Promise<void>
}

const points = {
  beforeNetwork: 'before the network',
  leaseObtained: 'lease obtained',
  rootBuilt: 'root built',
  beforeHandoff: 'before the handoff',
} as const

type Point = keyof typeof points

const defaultTimeoutMs = 5 * 60_000
/** A hook that takes so long is told, and again after as long as that. */
const wordMs = 10_000

export function prepareHooks(
  bare: Sys,
  story: Story,
  machine: () => Promise<BootPlan>,
  installed: readonly InstalledHook[],
): Hooks {
  const sites: CallSites = new WeakMap()
  const sys = installed.length === 0 ? bare : watchCalls(bare, sites)
  let loaded: readonly LoadedHook[] = []

  const load = story.once(
    'hook',
    () => [machine()],
    async (report) => {
      const all: LoadedHook[] = []
      for (const { name, load } of installed) {
        try {
          all.push({ name, hook: (await load()).default })
        } catch (error) {
          throw await failureOf(name, 'when it was loaded', error)
        }
      }
      loaded = all
      report.detail(`loaded ${all.map(({ name }) => name).join(', ')}`)
    },
  )

  async function failureOf(name: string, when: string, error: unknown): Promise<BootError> {
    const place = await placeOf(bare, error, sites)
    return new BootError(`the hook ${name} failed (${when})${place === undefined ? '' : ` at ${place}`}`, {
      cause: error,
      advice: [
        `look at ${place ?? name}, and build the initrd again: with it corrected, or without --hook ${name}`,
      ],
    })
  }

  function contextOf(plan: BootPlan, name: string, report: Report, signal: AbortSignal): HookContext {
    const said = (text: string) => `${name}: ${text}`
    return {
      ...{ sys, plan, signal },
      tell: (text) => report.notice(said(text)),
      warn: (text) => report.warn(said(text)),
    }
  }

  /** Those with something to do at this point, each as a phase's body. */
  function bodiesAt<C extends HookContext>(
    point: Point,
    act: (hook: Hook) => ((context: C) => Promise<void> | void) | undefined,
  ) {
    return loaded.flatMap(({ name, hook }) => {
      const run = act(hook)
      if (run === undefined) return []
      const timeoutMs = hook.timeoutMs ?? defaultTimeoutMs
      return async (plan: BootPlan, report: Report, knows: (context: HookContext) => C) => {
        report.detail(`${name}, ${points[point]}`)
        // Not awaited: should the hook never let go of the engine, this is the last that is known.
        bare.supervisor
          .note(`the hook ${name} (${points[point]})`)
          .catch((error: unknown) => report.note(`the supervisor was not told: ${String(error)}`))
        try {
          await bounded(bare, { name, timeoutMs }, report, async (signal) =>
            run(knows(contextOf(plan, name, report, signal))),
          )
        } catch (error) {
          if (report.signal.aborted && hasCode(error, 'ABORTED')) throw error
          throw await failureOf(name, points[point], error)
        }
      }
    })
  }

  /** Each hook until it has ended well, and then not again in another try. */
  function onceEach<T>(make: () => () => Promise<T>): () => Promise<T> {
    let made: (() => Promise<T>) | undefined
    return () => {
      made ??= make()
      return made()
    }
  }

  function rootContext(network: NetworkUp | undefined) {
    return (context: HookContext): RootBuilt => ({
      ...context,
      root: sysroot,
      network,
      write: (path, text) =>
        noteCaller(sites, () => writeIn(bare, sysroot, `./${path.replace(/^\/+/, '')}`, text)),
      read: (path) => noteCaller(sites, () => readIn(bare, path)),
    })
  }

  function inNewRoot(
    point: 'rootBuilt' | 'beforeHandoff',
    system: Promise<void>,
    online: () => Promise<NetworkUp | undefined>,
  ): Promise<void> {
    let before = system
    for (const body of bodiesAt<RootBuilt>(point, (hook) => hook[point])) {
      // The network is asked for when the system stands: until then it may be given up.
      const network = before.then(online)
      before = story.phase('hook', [machine(), network], (report, [plan, network]) =>
        body(plan, report, rootContext(network)),
      )
    }
    return before
  }

  return {
    load: () => (installed.length === 0 ? Promise.resolve() : load()),
    beforeNetwork: (drivers) =>
      onceEach(() => {
        const bodies = bodiesAt<BeforeNetwork>('beforeNetwork', (hook) => hook.beforeNetwork)
        let before = bodies.length === 0 ? () => Promise.resolve() : drivers
        for (const body of bodies) {
          const last = before
          before = story.once(
            'hook',
            () => [machine(), last()],
            (report, [plan]) =>
              body(plan, report, (context) => ({
                ...context,
                disksSettled: () => noteCaller(sites, () => settleDisks(bare, context.signal)),
              })),
          )
        }
        return before
      }),
    leaseObtained: (joined) =>
      onceEach(() => {
        let before = joined
        for (const body of bodiesAt<LeaseObtained>('leaseObtained', (hook) => hook.leaseObtained)) {
          const last = before
          const after = story.once(
            'hook',
            () => [machine(), last()],
            async (report, [plan, network]) => {
              if (network !== undefined) await body(plan, report, (context) => ({ ...context, network }))
              return network
            },
          )
          before = async () => ((await last()) === undefined ? undefined : after())
        }
        return before
      }),
    rootBuilt: (system, online) => inNewRoot('rootBuilt', system, online),
    beforeHandoff: (system, online) => inNewRoot('beforeHandoff', system, online),
  }
}

async function readIn({ files }: Pick<Sys, 'files'>, path: string): Promise<string | undefined> {
  const place = await files.resolveIn(sysroot, path)
  return place === undefined ? undefined : files.readText(place)
}

/** A word when it takes long; a failure when its time is over. Its signal fires at the end, however that comes. */
async function bounded(
  sys: Pick<Sys, 'clock'>,
  { name, timeoutMs }: { readonly name: string; readonly timeoutMs: number },
  report: Report,
  run: (signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const over = new AbortController()
  const signal = AbortSignal.any([report.signal, over.signal])
  try {
    await Promise.race([run(signal), watch()])
  } finally {
    over.abort()
  }

  async function watch(): Promise<never> {
    for (let left = timeoutMs; ; left -= wordMs) {
      await sys.clock.sleep(Math.min(left, wordMs), signal)
      if (left <= wordMs) break
      report.notice(`${name} goes on: ${showDuration(left - wordMs)} more before the boot fails`)
    }
    throw new BootError(`it did not end within ${showDuration(timeoutMs)}`, {
      advice: ['what takes longer says so: timeoutMs in defineHook, in milliseconds'],
    })
  }
}
