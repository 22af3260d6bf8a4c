/**
 * Reads of NFS shares whose server has stopped. While a system is built they fail, so that a person is told and another try
 * is made; the system itself waits for its server, as nfs(5) has it by default.
 */
import type { NfsShare } from '../boot/nfs.ts'
import { BootError, type Sys, SysError } from '../sys/index.ts'

/**
 * nfs(5): ETIMEDOUT after 10 and twice 10 seconds without an answer, as long as a download may stand still. Without these a
 * read waits for ever, and nobody can be told.
 */
export const failingReads = ['softerr', 'timeo=100', 'retrans=2'] as const
const ofWaiting = /^(hard|soft|softerr|timeo=.*|retrans=.*)$/

/** Whoever does is not told better. */
export function saysHowToWait(options: readonly string[]): boolean {
  return options.some((option) => ofWaiting.test(option))
}

/** Where the shares of this boot are mounted once more, out of sight. */
const aside = '/run/diskless/share'

/**
 * Mounts a share whose reads fail once more, so that they wait from now on: the kernel changes that of no mount. What is
 * open already keeps the old one.
 */
export async function mountForGood(
  sys: Pick<Sys, 'mounts' | 'files'>,
  share: NfsShare,
  onWarning: (text: string) => void,
): Promise<void> {
  if (saysHowToWait(share.options)) return
  for (const { options, source, target, type } of await sys.mounts.list()) {
    if (!/^nfs4?$/.test(type) || !failingReads.every((each) => options.includes(each))) continue
    await sys.files.makeDirectory(aside)
    try {
      const others = options.filter((option) => !ofWaiting.test(option))
      await sys.mounts.mount({ type, source, target: aside, options: [...others, 'hard'], timeoutMs: 30_000 })
    } catch (error) {
      if (!(error instanceof SysError)) throw error
      onWarning(`${source} stays mounted so that reads fail when its server is away: ${error.message}`)
      continue
    }
    await sys.mounts.unmount(target, { lazy: true })
    await sys.mounts.move(aside, target)
    await sys.files.remove(aside)
  }
}

const wordMs = 20_000
/** As long as copying a large /var may take. */
const readMs = 600_000

/**
 * Reads of a share that wait for its server: a word each time that they take long, and an end, although the reads
 * themselves have none. `what`: the share.
 */
export async function boundReads<T>(
  sys: Pick<Sys, 'clock'>,
  what: string,
  { onNotice, signal }: { readonly onNotice: (text: string) => void; readonly signal: AbortSignal },
  read: () => Promise<T>,
): Promise<T> {
  const over = new AbortController()
  const reading = read()
  const watching = watchReads(sys, what, onNotice, AbortSignal.any([signal, over.signal]))
  try {
    return await Promise.race([reading, watching])
  } finally {
    over.abort()
    // Whichever comes second has nothing to say any more.
    for (const each of [reading, watching]) each.catch(() => undefined)
  }
}

async function watchReads(
  sys: Pick<Sys, 'clock'>,
  what: string,
  onNotice: (text: string) => void,
  signal: AbortSignal,
): Promise<never> {
  const since = sys.clock.now()
  for (let waitMs = wordMs; sys.clock.now() - since < readMs; waitMs = Math.min(waitMs * 2, 120_000)) {
    await sys.clock.sleep(waitMs, signal)
    const seconds = Math.round((sys.clock.now() - since) / 1000)
    onNotice(
      `still reading from ${what} after ${seconds} s; if its server stopped, this goes on when it is back`,
    )
  }
  throw new BootError(
    `${what} was not read within ${readMs / 60_000} minutes: its server does not answer any more`,
    {
      advice: [
        `is the server up, and in reach? From another machine: showmount -e ${what.replace(/:\/.*$/, '')}`,
      ],
    },
  )
}
