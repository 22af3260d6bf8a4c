/**
 * NFS mounts. The kernel does not negotiate versions for mount(2), nor resolve names: that is mount.nfs' work (nfs(5)),
 * and here it is ours.
 */
import { type NfsShare, showNfsShare } from '../boot/nfs.ts'
import type { RootPlan } from '../boot/root-plan.ts'
import { isOfMountProgram } from '../overlay/fstab.ts'
import { BootError, hasCode, type Sys, SysError } from '../sys/index.ts'
import { failingReads, saysHowToWait } from './nfs-reads.ts'

export interface NfsMount {
  /** Milliseconds in which a server that does not answer is asked again; two minutes unless told. */
  readonly patienceMs?: number
  readonly target: string
  /** `ro` and the like; the share's own come after. */
  readonly options: readonly string[]
  /** For a share that names none. */
  readonly defaultServer: string | undefined
  /** Whether who reads while the server is away gets an error after half a minute, or waits until it is back. */
  readonly reads: 'fail' | 'wait'
  readonly onNotice: (text: string) => void
  readonly signal: AbortSignal
}

/** The newest first; 3 without locks, as no lock daemon runs here. */
const versions = ['4.2', '4.1', '4.0', '3'] as const

/** What mount.nfs(8) keeps to itself besides. */
const ofMountNfs = /^(retry=.*|bg|fg|sloppy)$/

const tryMs = 30_000
/** As long as DHCP is tried: a server that boots with its clients. */
const patienceMs = 120_000

/** Rejects with a BootError that says which version was answered how, or with ABORTED. */
export async function mountNfs(
  sys: Pick<Sys, 'mounts' | 'files' | 'network' | 'clock'>,
  share: NfsShare,
  mount: NfsMount,
): Promise<{ readonly version: string }> {
  const server = share.server ?? mount.defaultServer
  if (server === undefined) {
    throw new BootError(`${share.path} names no NFS server, and neither does the lease`, {
      advice: ['write SERVER:/PATH, or let DHCP name it (next-server)'],
    })
  }
  const whole = { ...share, server }
  await sys.files.makeDirectory(mount.target)
  const until = sys.clock.now() + (mount.patienceMs ?? patienceMs)
  for (let waitMs = 1000; ; waitMs = Math.min(waitMs * 2, 15_000)) {
    const outcome = await tryVersions(sys, whole, mount)
    if (outcome.kind === 'mounted') return { version: outcome.version }
    const [first] = outcome.refused
    if (!outcome.unreachable || sys.clock.now() + waitMs > until) throw explain(whole, outcome.refused)
    mount.onNotice(
      `${showNfsShare(whole)} does not answer (${first?.error.message ?? ''}); again in ${waitMs / 1000} s`,
    )
    await sys.clock.sleep(waitMs, mount.signal)
  }
}

interface Refused {
  readonly version: string
  readonly error: SysError
}

type Outcome =
  | { readonly kind: 'mounted'; readonly version: string }
  | { readonly kind: 'refused'; readonly refused: readonly Refused[]; readonly unreachable: boolean }

const unreachable = [
  ...(['ECONNREFUSED', 'ETIMEDOUT', 'EHOSTUNREACH', 'ENETUNREACH', 'EHOSTDOWN', 'TIMEOUT', 'DNS'] as const),
  ...(['ECONNRESET', 'EAGAIN', 'ECONNABORTED', 'EIO'] as const),
]

/** Of NFS 4 by RPC, of NFS 3 by rpcbind, where it does not know the program. */
const otherVersion = ['EPROTONOSUPPORT', 'EOPNOTSUPP', 'ENOPROTOOPT', 'EINVAL'] as const

async function tryVersions(
  sys: Pick<Sys, 'mounts' | 'network'>,
  share: NfsShare & { readonly server: string },
  mount: NfsMount,
): Promise<Outcome> {
  const { asked, options } = splitVersion(share.options)
  const refused: Refused[] = []
  for (const version of asked === undefined ? versions : [asked]) {
    mount.signal.throwIfAborted()
    try {
      const [address] = await sys.network.resolve(share.server, 15_000)
      await sys.mounts.mount({
        type: 'nfs',
        source: showNfsShare(share),
        target: mount.target,
        options: [
          ...mount.options,
          `vers=${version}`,
          `addr=${address}`,
          ...(options.some((option) => option.startsWith('proto=') || option === 'udp')
            ? []
            : // The kernel refuses tcp, which is IPv4's, with an IPv6 address.
              [address?.includes(':') ? 'proto=tcp6' : 'proto=tcp']),
          ...(version.startsWith('3') && !options.includes('lock') ? ['nolock'] : []),
          ...(mount.reads === 'fail' && !saysHowToWait(options) ? failingReads : []),
          ...options,
        ],
        timeoutMs: tryMs,
      })
      return { kind: 'mounted', version }
    } catch (error) {
      if (!(error instanceof SysError) || hasCode(error, 'ABORTED')) throw error
      refused.push({ version, error })
      // No other version finds a server that is not there. Refused connections may be of rpcbind, which only 3 asks.
      if (hasCode(error, ...unreachable)) return { kind: 'refused', refused, unreachable: true }
    }
  }
  return { kind: 'refused', refused, unreachable: false }
}

/**
 * Loads what the first `mountNfs` of this boot will need, while the network is still waited for: the modules are most of a boot
 * by NFS, and the kernel would ask for them one by one in the middle of the mount.
 */
export async function prepareNfs(sys: Pick<Sys, 'modules'>, root: RootPlan): Promise<void> {
  const given = optionsOfShare(root)
  if (given === undefined) return
  const { asked = versions[0] } = splitVersion(given)
  try {
    for (const name of ['nfs', asked.startsWith('3') ? 'nfsv3' : 'nfsv4']) await sys.modules.load(name)
  } catch (error) {
    // The mount says what is missing, and may do with another version.
    if (!(error instanceof SysError)) throw error
  }
}

/** Undefined: the boot needs no share. */
function optionsOfShare(root: RootPlan): readonly string[] | undefined {
  switch (root.kind) {
    case 'ram':
      return root.medium?.kind === 'nfs' ? root.medium.share.options : undefined
    case 'nfs':
      return [...(root.share === 'lease' ? [] : root.share.options), ...root.options]
    case 'image':
      return root.image.kind === 'nfs' ? root.image.share.options : undefined
    case 'disk':
      return undefined
  }
}

/** `vers=`, `nfsvers=`, `v4.1`, and without what the kernel would not understand. */
function splitVersion(given: readonly string[]): { asked: string | undefined; options: readonly string[] } {
  const form = /^(?:nfs)?v(?:ers=)?(\d(?:\.\d)?)$/
  const asked = given.flatMap((option) => form.exec(option)?.[1] ?? []).at(-1)
  const minor = given.flatMap((option) => /^minorversion=(\d)$/.exec(option)?.[1] ?? []).at(-1)
  const options = given.filter(
    (option) =>
      !form.test(option) &&
      !isOfMountProgram(option) &&
      !ofMountNfs.test(option) &&
      !option.startsWith('minorversion='),
  )
  return { asked: asked === '4' ? `4.${minor ?? '2'}` : asked, options }
}

function explain(share: NfsShare, refused: readonly Refused[]): BootError {
  const what = showNfsShare(share)
  const last = refused.at(-1)
  const words = ({ error }: Refused) => error.message.replace(`${error.subject}: `, '')
  const tried = refused.map((each) => `NFS ${each.version}: ${words(each)}`).join('; ')
  // The newest version says what is the matter; an older one may call it something else.
  const first = refused.map(({ error }) => error).find((error) => hasCode(error, 'ENOENT', 'EACCES', 'EPERM'))
  if (hasCode(first, 'ENOENT')) {
    return new BootError(`the NFS server has no ${share.path}, or hides it from this machine (${tried})`, {
      cause: first,
      advice: [
        // With version 4 what a client may not mount is not there for it.
        'look at the server’s exports: the path, and whether this machine’s address may mount it',
        `see what it has: showmount -e ${share.server}; with version 4 a path begins at the server’s pseudo-root (fsid=0)`,
      ],
    })
  }
  if (first !== undefined) {
    return new BootError(`the NFS server does not let this machine mount ${what} (${tried})`, {
      cause: first,
      advice: ['look at the server’s exports: this machine’s address, ro or rw, and at exportfs -v'],
    })
  }
  if (refused.every(({ error }) => hasCode(error, ...otherVersion))) {
    return new BootError(
      `the NFS server speaks none of the versions that were tried for ${what} (${tried})`,
      {
        cause: last?.error,
        advice: ['leave vers= out, or allow one of 4.2, 4.1, 4.0 and 3 on the server'],
      },
    )
  }
  if (refused.some(({ error }) => hasCode(error, 'ENODEV'))) {
    return new BootError(`${what} cannot be mounted: this kernel has no NFS`, {
      cause: last?.error,
      advice: ['put it into the initrd: diskless build --modules nfs'],
    })
  }
  return new BootError(`${what} could not be mounted (${tried})`, {
    cause: last?.error,
    advice: [`is the server up, and in reach? From another machine: showmount -e ${share.server}`],
  })
}
