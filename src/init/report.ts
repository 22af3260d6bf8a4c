/**
 * diskless.report=URL: the boot's events, posted as JSON lines to whoever watches machines boot (`diskless watch`).
 *
 * Nothing waits for it: events are kept until there is a network, and go out in batches, one after the other. A batch begins with
 * a line that says whose it is. What does not arrive is tried again with growing waits; what has no room any more is
 * counted, and told. A boot that takes long says every now and then that it is still there.
 */
import type { BootPlan } from '../boot/plan.ts'
import type { NetworkUp } from '../network/network-up.ts'
import { proxyFor } from '../network/proxy.ts'
import { redactCommandLine, secretsOf, withoutSecrets } from '../network/redact.ts'
import { redactUrl } from '../network/url.ts'
import { chainOf, hasCode, type Source, type Sys } from '../sys/index.ts'
import type { BootEvent } from './events.ts'

type Online = Pick<NetworkUp, 'mac' | 'address' | 'hostname'>

export interface Reporter {
  send(event: BootEvent): void
  /** Of a phase only the last one that has not been sent counts. */
  progress(event: BootEvent & { readonly phase: string }): void
  /** The plan says whether anybody is to be told. `say`: for the console, once, that nobody listens. */
  meet(plan: BootPlan, say: (text: string) => void): Promise<void>
  connect(online: Online | undefined): void
  /** What the new system calls itself, which counts more than what the network calls it. */
  name(hostname: string | undefined): void
  /** Resolves when all was delivered, or at the latest after so long. */
  flush(withinMs: number): Promise<void>
}

const mostEvents = 400
const mostCharacters = 200_000
/** Of one post; an event is longer only if it is a timeline. */
const batchCharacters = 64_000
const stillThereMs = 15_000
const progressMs = 1000
const firstWaitMs = 1000
const longestWaitMs = 30_000
/** A receiver answers at once, or not at all. */
const deadlines = { connectMs: 2000, stallMs: 3000, totalMs: 5000 }

/** What a batch's first line says of the machine. */
interface Machine {
  readonly boot: string
  readonly uuid: string | undefined
  readonly product: string | undefined
  readonly kernel: string
  readonly diskless: string | undefined
  readonly commandLine: string
}

interface Target {
  readonly url: string
  readonly plan: BootPlan
  readonly machine: Machine
  readonly secrets: readonly string[]
  readonly say: (text: string) => void
}

interface Kept {
  readonly number: number
  readonly event: BootEvent
  /** Of its JSON, about. */
  readonly characters: number
}

export function openReporter(sys: Pick<Sys, 'clock' | 'files' | 'pipelines'>): Reporter {
  /** `null`: nobody is to be told. */
  let target: Target | null | undefined
  let online: Online | undefined
  let ownName: string | undefined
  let kept: Kept[] = []
  const progress = new Map<string, BootEvent>()
  let lastProgress = Number.NEGATIVE_INFINITY
  let events = 0
  let batches = 0
  let lost = 0
  let toldOfTrouble = false
  let delivering = false
  let news = new AbortController()
  let hurry = new AbortController()
  let whenEmpty: (() => void)[] = []

  function wake(): void {
    news.abort()
    news = new AbortController()
  }

  function keep(event: BootEvent): void {
    kept.push({ number: events++, event, characters: JSON.stringify(event).length })
    let room = mostCharacters - kept.reduce((sum, { characters }) => sum + characters, 0)
    // The last one stays whatever its size: it is a failure, or the end.
    while (kept.length > 1 && (room < 0 || kept.length > mostEvents)) {
      room += kept.shift()?.characters ?? 0
      lost++
    }
  }

  /** The oldest that fit into one post. */
  function takeBatch(): Kept[] {
    let characters = 0
    const fits = kept.findIndex((each) => {
      characters += each.characters
      return characters > batchCharacters
    })
    return kept.slice(0, fits === -1 ? kept.length : Math.max(fits, 1))
  }

  function forget(batch: readonly Kept[]): void {
    const numbers = new Set(batch.map(({ number }) => number))
    kept = kept.filter(({ number }) => !numbers.has(number))
  }

  async function post({ url, plan, machine, secrets }: Target, batch: readonly Kept[]): Promise<void> {
    const head = {
      event: 'machine',
      report: 1,
      at: sys.clock.now(),
      ...machine,
      batch: batches++,
      lost,
      mac: online?.mac,
      address: online?.address,
      hostname: ownName ?? online?.hostname,
    }
    const lines = [head, ...progress.values(), ...batch.map(({ number, event }) => ({ number, ...event }))]
    progress.clear()
    const proxy = proxyFor(url, plan.proxies)
    const source: Source = {
      kind: 'http',
      url,
      deadlines,
      body: lines.map((line) => `${JSON.stringify(withoutSecrets(line, secrets))}\n`).join(''),
      ...(proxy === undefined ? {} : { proxy }),
    }
    await sys.pipelines.run({
      source,
      filters: [{ kind: 'limit', bytes: 65_536 }],
      sink: { kind: 'discard' },
    })
  }

  /** As long as there is an engine. */
  async function deliver(target: Target): Promise<never> {
    for (let waitMs = firstWaitMs; ; ) {
      const batch = takeBatch()
      try {
        await post(target, batch)
        forget(batch)
        waitMs = firstWaitMs
        if (kept.length > 0) continue
        for (const resolve of whenEmpty) resolve()
        whenEmpty = []
        await pause(stillThereMs, news.signal)
      } catch (error) {
        if (!toldOfTrouble) {
          const why = chainOf(error).join(': ')
          target.say(`nobody hears of this boot (diskless.report=${redactUrl(target.url)}): ${why}`)
        }
        toldOfTrouble = true
        // What is refused for good would be refused again, and nothing after it would arrive.
        if (isRefusal(error)) {
          forget(batch)
          lost += batch.length
        }
        // Not all of a fleet at the same instant.
        await pause(waitMs * (0.75 + sys.clock.random() / 2), hurry.signal)
        waitMs = Math.min(waitMs * 2, longestWaitMs)
      }
    }
  }

  /** So long, or until the signal fires. */
  async function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
    await sys.clock.sleep(milliseconds, signal).catch((error: unknown) => {
      if (!hasCode(error, 'ABORTED')) throw error
    })
  }

  function start(): void {
    if (!target || online === undefined || delivering) return
    delivering = true
    const { say } = target
    deliver(target).catch((error: unknown) => say(`diskless.report= ended: ${chainOf(error).join(': ')}`))
  }

  return {
    send(event) {
      if (target === null) return
      keep(event)
      wake()
    },
    progress(event) {
      if (target === null) return
      progress.set(event.phase, event)
      const now = sys.clock.now()
      if (now - lastProgress < progressMs) return
      lastProgress = now
      wake()
    },
    async meet(plan, say) {
      const url = plan.report
      if (url === undefined) {
        target = null
        kept = []
        progress.clear()
        return
      }
      const [id, config, line] = [
        '/proc/sys/kernel/random/boot_id',
        '/etc/diskless/config.json',
        '/proc/cmdline',
      ]
      const facts = await sys.files.readTexts([id, config, line])
      const commandLine = facts.get(line)?.trim() ?? ''
      const { uuid, product, kernel } = plan.machine
      const machine = {
        boot: facts.get(id)?.trim() || `unnamed-${Math.floor(sys.clock.random() * 1e12)}`,
        ...{ uuid, product, kernel },
        diskless: versionOf(facts.get(config)),
        commandLine: redactCommandLine(commandLine),
      }
      target = { url, plan, machine, say, secrets: secretsOf(commandLine) }
      start()
    },
    name(hostname) {
      ownName = hostname
    },
    connect(up) {
      online = up
      start()
    },
    async flush(withinMs) {
      if (!delivering || kept.length === 0) return
      const over = new AbortController()
      hurry.abort()
      hurry = new AbortController()
      wake()
      const empty = new Promise<void>((resolve) => whenEmpty.push(resolve))
      await Promise.race([empty, pause(withinMs, over.signal)])
      over.abort()
      if (target && kept.length > 0) {
        target.say(`${kept.length + lost} events of this boot did not reach ${redactUrl(target.url)}`)
      }
    },
  }
}

/** RFC 9110, 15.5: the request is at fault, whenever it comes. */
function isRefusal(error: unknown): boolean {
  if (!hasCode(error, 'HTTP') || error.status === undefined) return false
  return error.status >= 400 && error.status < 500 && ![408, 425, 429].includes(error.status)
}

function versionOf(config: string | undefined): string | undefined {
  const parsed: unknown = config === undefined ? undefined : JSON.parse(config)
  if (typeof parsed !== 'object' || parsed === null || !('version' in parsed)) return undefined
  return typeof parsed.version === 'string' ? parsed.version : undefined
}
