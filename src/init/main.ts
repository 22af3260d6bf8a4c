/** The story of a boot. */
import type { BootPlan, RamBootPlan } from '../boot/plan.ts'
import type { ProxyPlan } from '../boot/proxy-plan.ts'
import type { MountedRootPlan } from '../boot/root-plan.ts'
import type { Cache } from '../cache/fetch.ts'
import { type Media, noMedia, wantsMedia } from '../media/media.ts'
import { prepareNfs } from '../media/nfs.ts'
import { fetchPipeline } from '../network/fetch.ts'
import { throughProxies } from '../network/proxy.ts'
import { chosenName } from '../root/told.ts'
import type { Handoff, Sys } from '../sys/index.ts'
import { commitCache, keepModloops, prepareCache } from './cache.ts'
import { asksForTime, correctClock, waitsForClock } from './clock.ts'
import { loadDrivers } from './drivers.ts'
import { prepareHandoff } from './handoff.ts'
import { type InstalledHook, prepareHooks } from './hooks.ts'
import { fetchIndexes } from './indexes.ts'
import { loadKeymap } from './keymap.ts'
import { type Renewals, renewLeases } from './lease.ts'
import { readLock } from './lock.ts'
import { meetMachine } from './machine.ts'
import { findMedia } from './media.ts'
import { findModules } from './modloop.ts'
import { settleModules } from './modules.ts'
import { comeOnline } from './network.ts'
import { fetchOverlay } from './overlay.ts'
import { installPackages } from './packages.ts'
import type { Reporter } from './report.ts'
import { makeRoot, mountRoot } from './root.ts'
import type { Screen } from './screen.ts'
import type { Promises, Story } from './story.ts'

/** What is learned about the machine stays when the boot is tried again; what is built in the root is built again. */
export function prepareBoot(
  bare: Sys,
  story: Story,
  screen: Screen,
  reporter: Reporter,
  installed: readonly InstalledHook[] = [],
) {
  const { phase, once } = story
  let proxies: ProxyPlan | undefined
  const sys = throughProxies(bare, () => proxies)

  const machine = once(
    'machine',
    () => [],
    async (report) => {
      const plan = await meetMachine(sys, screen, report)
      proxies = plan.proxies
      await reporter.meet(plan, story.say)
      return plan
    },
  )

  const drivers = once(
    'drivers',
    () => [machine()],
    (report, [plan]) => loadDrivers(sys, plan, report),
  )

  const hooks = prepareHooks(sys, story, machine, installed)
  const early = hooks.beforeNetwork(drivers)

  let cache: Cache | undefined
  let renewals: Renewals | undefined
  const joinOnce = () =>
    hooks.leaseObtained(
      once(
        'network',
        () => [machine(), early()],
        async (report, [plan]) => {
          const online = await comeOnline(sys, plan, drivers(), cache, report)
          reporter.connect(online)
          if (online !== undefined) renewals = renewLeases(sys, plan, online, report)
          return online
        },
      ),
    )
  let network = joinOnce()

  const keymap = once(
    'keymap',
    () => [machine(), drivers()],
    (report, [plan]) => loadKeymap(sys, plan, report),
  )

  async function boot(): Promise<Handoff> {
    const plan = await machine()
    await hooks.load()
    const typed = plan.keymap === undefined ? Promise.resolve() : keymap()
    const { root } = plan
    const system = root.kind === 'ram' ? installSystem({ ...plan, root }) : mountSystem(plan, root)
    // Asked for when the system stands: the cache may have given the network up.
    const online = system.then(() => network())
    const built = hooks.rootBuilt(system, () => network())
    const done = hooks.beforeHandoff(built, () => network())
    return phase('handoff', [done, online, typed], (report, [, online]) =>
      prepareHandoff(sys, plan, online, renewals, report),
    )
  }

  /** The network, and a clock by which certificates can be judged where one is going to be. */
  function comeOnlineInTime(plan: BootPlan) {
    const time = network().then((online) =>
      asksForTime(plan, online)
        ? phase('clock', [network()], (report, [online]) => correctClock(sys, plan, online, report))
        : undefined,
    )
    return { online: waitsForClock(plan) ? time.then(() => network()) : network(), time }
  }

  async function readyForDisks(): Promise<void> {
    await early()
    await drivers()
  }

  /** The drivers, and the file system of a share that the boot is from: nobody needs to wait for the network with that. */
  async function readyFor({ root }: BootPlan): Promise<void> {
    await readyForDisks()
    await prepareNfs(sys, root)
  }

  /** Who watches a fleet knows its machines by their names. */
  async function tellName({ report }: BootPlan): Promise<void> {
    if (report !== undefined) reporter.name(await chosenName(sys))
  }

  /** A system that is installed already: on a file server, in an image, on a disk. */
  async function mountSystem(plan: BootPlan, root: MountedRootPlan): Promise<void> {
    const { online, time } = comeOnlineInTime(plan)
    const mounted = phase('root', [readyFor(plan), online], async (report, [, online]) => {
      await mountRoot(sys, plan, root, online, report)
      await tellName(plan)
    })
    await Promise.all([mounted, time])
  }

  /** Alpine’s diskless mode: an empty tmpfs, the overlay, the packages of its world. */
  async function installSystem(plan: RamBootPlan): Promise<void> {
    const { cache: wanted } = plan.root
    if (wanted === undefined) return fillRoot(plan, undefined)
    // That the last try found no network is no reason for this one to go without.
    if (cache?.offline) network = joinOnce()
    const opened = await phase('cache', [readyForDisks()], (report) =>
      prepareCache(sys, plan, wanted, report),
    )
    cache = opened
    const filled = fillRoot(plan, opened)
    if (opened === undefined) return filled
    return phase('commit', [network(), filled], (report, [online]) =>
      commitCache(sys, opened, online?.mac, report),
    )
  }

  async function fillRoot(plan: RamBootPlan, cache: Cache | undefined): Promise<void> {
    const { online, time } = comeOnlineInTime(plan)
    const fetch = cache?.fetch ?? fetchPipeline
    const root = phase('root', [drivers()], (report) => makeRoot(sys, plan, report))

    const media = openMediaOf(plan, cache)

    // What a URL names comes without waiting for disks.
    const overlayMedia = plan.root.overlay.kind === 'url' ? Promise.resolve(noMedia) : media
    const overlay = phase('overlay', [online, root, overlayMedia], async (report, [online, , media]) => {
      const mac = online?.mac ?? cache?.state?.mac
      const overlay = await fetchOverlay(sys, plan, { mac, fetch }, media, report)
      await tellName(plan)
      return overlay
    })

    const { lock } = plan.root
    const offer =
      lock === undefined
        ? phase('index', [online, media], (report, [online, media]) =>
            fetchIndexes(
              sys,
              plan,
              online !== undefined || cache?.offline === true,
              media,
              overlay,
              fetch,
              report,
            ),
          )
        : phase('lock', [online, media], (report, [online, media]) =>
            readLock(
              sys,
              plan,
              { wanted: lock, mac: online?.mac ?? cache?.state?.mac, media, overlay, fetch },
              report,
            ),
          )

    const packages = phase('packages', [overlay, offer, online], (report, [overlay, offer, online]) =>
      installPackages(sys, plan, { overlay, offer, online, fetch }, report),
    )

    await Promise.all([bringModules(plan, cache, [root, media, online], packages), time])
  }

  /** Without a medium and without a URL there is no modloop that init could look at. */
  function bringModules(
    plan: RamBootPlan,
    cache: Cache | undefined,
    needs: Promises<readonly [unknown, Media, unknown]>,
    packages: Promise<void>,
  ): Promise<void> {
    const { modules } = plan.root
    const hasSource =
      modules.kind === 'keep' ||
      modules.kind === 'fetched-modloop' ||
      (modules.kind === 'modloop' && wantsMedia(plan.root))
    if (!hasSource) return packages
    const fetch = cache?.fetch ?? fetchPipeline
    const found = phase('modloop', needs, async (report, [, { media }]) => {
      const found = await findModules(sys, plan, media, fetch, report)
      if (cache !== undefined) await keepModloops(sys, plan, cache, media, report)
      return found
    })
    return phase('modules', [found, packages], (report, [found]) => settleModules(sys, plan, found, report))
  }

  function openMediaOf(plan: RamBootPlan, cache: Cache | undefined): Promise<Media> {
    if (!wantsMedia(plan.root)) return Promise.resolve(noMedia)
    const online = plan.root.medium?.kind === 'nfs' ? network() : Promise.resolve(undefined)
    return phase('media', [readyFor(plan), online], (report, [, online]) =>
      findMedia(sys, plan, online, cache, report),
    )
  }

  return { machine, boot }
}
