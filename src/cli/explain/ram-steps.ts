/** Alpine’s diskless mode: a tmpfs, the overlay, the packages of its world, the kernel’s modules. */

import { showDeviceName } from '../../boot/device.ts'
import { mirrorsIn } from '../../boot/mirrors.ts'
import { showNfsShare } from '../../boot/nfs.ts'
import type { ParameterName } from '../../boot/parameters.ts'
import type { RamBootPlan } from '../../boot/plan.ts'
import { isUrl, type OverlayPlan, type RamRootPlan, seeksRepositories } from '../../boot/root-plan.ts'
import type { Settings } from '../../boot/settings.ts'
import { wantsMedia } from '../../media/media.ts'
import { redactUrl } from '../../network/url.ts'
import { filledIn, type MachineFacts } from './facts.ts'
import { modulesSteps } from './modules-steps.ts'
import { askShare } from './root-steps.ts'
import { type Ask, listed, reasonsFor, type Step } from './step.ts'

interface Told {
  readonly plan: RamBootPlan
  readonly settings: Settings
  readonly machine: MachineFacts
  readonly because: (...names: readonly ParameterName[]) => Step['because']
  /** Of those, the ones that are on the command line. */
  readonly given: (...names: readonly ParameterName[]) => readonly ParameterName[]
  /** `network`, where there is one. */
  readonly online: readonly string[]
}

export function ramSteps(plan: RamBootPlan, settings: Settings, machine: MachineFacts): readonly Step[] {
  const told: Told = {
    plan,
    settings,
    machine,
    because: (...names) => reasonsFor(settings, names),
    given: (...names) => names.filter((name) => settings.all(name).length > 0),
    online: plan.network.kind === 'none' ? [] : ['network'],
  }
  const { root } = plan
  return [
    ...(root.cache === undefined ? [] : [cacheStep(told, root.cache)]),
    rootStep(told),
    ...(wantsMedia(root) ? [mediaStep(told)] : []),
    overlayStep(told),
    root.lock === undefined ? indexStep(told) : lockStep(told, root.lock),
    packagesStep(told),
    ...modulesSteps(plan, settings, told.online),
    ...(root.cache === undefined ? [] : [commitStep()]),
  ]
}

function cacheStep({ because }: Told, { place }: NonNullable<RamRootPlan['cache']>): Step {
  return {
    phase: 'cache',
    says: [
      `Opens the cache on ${showDeviceName(place.device)}: what has not changed since the last good boot comes from there.`,
      'Where no lease comes within a minute, or a server does not answer twice, its last good state is booted, with a warning.',
    ],
    because: because('diskless.cache', 'diskless.cache_size'),
    after: ['drivers'],
    asks: [],
  }
}

function commitStep(): Step {
  return {
    phase: 'commit',
    says: ['Keeps what this boot fetched for the next one; where nothing changed nothing is written.'],
    because: [],
    after: ['network', 'packages'],
    asks: [],
  }
}

function rootStep({ plan, because, given }: Told): Step {
  const { tmpfsOptions, mergedUsr } = plan.root
  const sized = tmpfsOptions.some((option) => option.startsWith('size='))
  const says = sized
    ? `Makes an empty root in memory, a tmpfs with ${tmpfsOptions.join(',')}.`
    : `Makes an empty root in memory, a tmpfs of what memory is free less a reserve${tmpfsOptions.length === 0 ? '' : `, with ${tmpfsOptions.join(',')}`}.`
  return {
    phase: 'root',
    says: [
      ...(plan.single ? ['Opens a shell first; leaving it goes on.'] : []),
      says,
      ...(mergedUsr ? ['Makes /bin, /sbin and /lib symlinks into /usr.'] : []),
    ],
    because: because(...given('single', 'root_size'), 'rootflags', ...given('bootstrap_usr_merged')),
    after: ['drivers'],
    asks: [],
  }
}

function mediaStep({ plan, because, online }: Told): Step {
  const { medium, overlay, repositories } = plan.root
  const wanted = [
    ...(overlay.kind === 'search' ? ['an overlay (*.apkovl.tar.gz)'] : []),
    ...(overlay.kind === 'path' ? [`the overlay ${overlay.path}`] : []),
    ...(overlay.kind === 'device' ? ['the overlay'] : []),
    ...(seeksRepositories(plan.root) ? ['repositories (.boot_repository)'] : []),
    ...(plan.root.modules.kind === 'modloop' && plan.root.modules.path !== undefined
      ? [`the modloop ${plan.root.modules.path}`]
      : []),
  ]
  const share = medium?.kind === 'nfs' ? medium.share : undefined
  const where =
    medium === undefined
      ? overlay.kind === 'device' && repositories.length > 0
        ? showDeviceName(overlay.place.device)
        : 'every disk, stick and card, until the buses are quiet, 15 s at most'
      : medium.kind === 'nfs'
        ? `the NFS share ${showNfsShare(medium.share)}`
        : showDeviceName(medium.place.device)
  return {
    phase: 'media',
    says: [
      `Looks on ${where} for ${listed(wanted.length === 0 ? ['what the new system asks for'] : wanted)}.`,
      ...(overlay.kind === 'search'
        ? ['Two overlays are an error that names both: the first is not simply taken.']
        : []),
    ],
    because: because('alpine_dev', ...(overlay.kind === 'device' ? (['ovl_dev'] as const) : [])),
    after: ['drivers', ...(share === undefined ? [] : online)],
    asks: share === undefined ? [] : [askShare(share, 'the medium')],
  }
}

function overlayStep({ plan, machine, because, given, online }: Told): Step {
  const { overlay } = plan.root
  const [where, asks] = overlayPlace(overlay, machine)
  const name = overlay.kind === 'url' ? (overlay.urls[0] ?? '') : overlay.kind === 'path' ? overlay.path : ''
  const encrypted = /\.(?:aes|des|bf|camellia|aria)[\w-]*(?:[?#]|$)/.test(name)
  const signed = machine.initrd?.overlayKeys.size ?? 0
  return {
    phase: 'overlay',
    says: [
      where,
      ...(overlay.backup === undefined
        ? []
        : [`Not the present one, but the backup ${overlay.backup} beside it.`]),
      ...(overlay.sha256 === undefined ? [] : [`Its SHA-256 must be ${overlay.sha256.slice(0, 16)}….`]),
      ...(signed === 0
        ? []
        : [
            `It must be signed by ${listed([...(machine.initrd?.overlayKeys.keys() ?? [])])}, which are in the initrd: the signature is its name with .sig.`,
          ]),
      ...(encrypted
        ? [
            overlay.passwordUrls.length > 0
              ? 'It is encrypted: its password is fetched.'
              : 'It is encrypted: its password is asked for on the console.',
          ]
        : []),
      overlay.optional
        ? 'One that cannot be had is told, and the boot goes on without.'
        : overlay.kind === 'search'
          ? 'Without any, Alpine’s default services are started.'
          : 'One that cannot be had stops the boot.',
    ],
    because: because(
      ...given('ovl_dev'),
      ...(given('ovl_dev').length > 0 ? [] : (['apkovl'] as const)),
      'diskless.apkovl',
      ...given('diskless.apkovl_sha256', 'diskless.apkovl_password', 'diskless.apkovl_backup'),
    ),
    after: ['root', ...(overlay.kind === 'url' ? online : ['media'])],
    asks: [
      ...asks,
      ...overlay.passwordUrls.map((url) => ask(filledIn(url, machine), 'the overlay’s password')),
    ],
  }
}

function ask(url: string, what: string): Ask {
  return { whom: redactUrl(url), what }
}

function overlayPlace(overlay: OverlayPlan, machine: MachineFacts): readonly [string, readonly Ask[]] {
  switch (overlay.kind) {
    case 'search':
      return ['Unpacks the overlay that a medium has at its root, if any.', []]
    case 'url': {
      const urls = overlay.urls.map((url) => filledIn(url, machine))
      return [
        `Fetches the overlay ${urls.map(redactUrl).join(' or, failing that, ')} and unpacks it into the root.`,
        urls.map((url, n) => ask(url, n === 0 ? 'the overlay' : 'the overlay, where the one before fails')),
      ]
    }
    case 'path':
      return [`Unpacks the overlay ${filledIn(overlay.path, machine)} of the initrd, else of a medium.`, []]
    case 'device': {
      const { device, path } = overlay.place
      return [
        `Unpacks the overlay ${path === undefined ? 'at the root' : filledIn(path, machine)} of ${showDeviceName(device)}.`,
        [],
      ]
    }
  }
}

function indexStep({ plan, because, online }: Told): Step {
  const { repositories } = plan.root
  const arch = plan.machine.architecture
  const places = repositories.flatMap(mirrorsIn)
  return {
    phase: 'index',
    says: [
      repositories.length === 0
        ? 'Takes the repositories of the media and of the overlay’s etc/apk/repositories.'
        : `Fetches the index of ${repositories.length === 1 ? 'the repository' : `each of ${repositories.length} repositories`}${places.length > repositories.length ? ', from the first mirror that has it' : ''}; those of the overlay’s etc/apk/repositories come after, and may be missing.`,
      'An index counts only if one of the keys of the initrd, or of the overlay, signed it.',
    ],
    because: because('alpine_repo'),
    after: [...online, ...(seeksRepositories(plan.root) ? ['media', 'overlay'] : [])],
    asks: places
      .filter(isUrl)
      .map((url) =>
        ask(`${url.replace(/\/+$/, '')}/${arch}/APKINDEX.tar.gz`, 'the index, with its signature'),
      ),
  }
}

function lockStep({ machine, because, online }: Told, lock: NonNullable<RamRootPlan['lock']>): Step {
  const urls = lock.kind === 'url' ? lock.urls.map((url) => filledIn(url, machine)) : []
  return {
    phase: 'lock',
    says: [
      `Takes the lock ${lock.kind === 'url' ? urls.map(redactUrl).join(' or, failing that, ') : `${filledIn(lock.path, machine)} of the initrd or of a medium`}: exactly its packages are installed.`,
      'Its signature must be by a key of the initrd, and its world the overlay’s: else the boot stops.',
    ],
    because: because('diskless.lock'),
    after: [...online, ...(lock.kind === 'path' ? ['media'] : [])],
    asks: urls.map((url) => ask(url, 'the lock')),
  }
}

function packagesStep({ plan, because, given, online }: Told): Step {
  const { packages, sshKey, strictWorld, lock } = plan.root
  const extra = packages.length === 0 ? '' : `, ${listed(packages)}`
  const repositories = plan.root.repositories.flatMap(mirrorsIn).filter(isUrl)
  return {
    phase: 'packages',
    says: [
      `${lock === undefined ? 'Chooses and installs' : 'Installs'} the overlay’s etc/apk/world${extra} and alpine-base, checked file by file; what comes by the network comes sixteen at a time.`,
      ...(sshKey === undefined
        ? []
        : ['Where no overlay is there: openssh as well, with sshd started, and the key let in as root.']),
      strictWorld
        ? 'A package that cannot be had stops the boot.'
        : lock === undefined
          ? 'A package that cannot be had is left out, loudly.'
          : 'The overlay’s world must be the lock’s.',
      'Then etc/fstab is obeyed, consoles get a login, and /etc/network/interfaces and resolv.conf are written where the overlay has none.',
    ],
    because: because(
      'pkgs',
      ...given('ssh_key'),
      ...(lock === undefined ? (['diskless.world'] as const) : []),
      'autodetect_serial',
    ),
    after: ['overlay', lock === undefined ? 'index' : 'lock', ...online],
    asks: [
      ...repositories.map((url) => ask(url, 'packages')),
      ...(sshKey !== undefined && isUrl(sshKey) ? [ask(sshKey, 'the SSH key')] : []),
    ],
  }
}
