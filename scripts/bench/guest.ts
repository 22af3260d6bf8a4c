/**
 * One boot of a guest of the bench, timed by the guest's own kernel: from the line `Run /init as init process` in its log to
 * the one that the new system's /sbin/init writes there first of all.
 *
 * The guest's clock counts instructions (QEMU's -icount), each as two nanoseconds, and while its processor idles it goes with
 * ours: so what is computed takes the same time however busy this machine is, to some thousandths, and what is waited for,
 * the network or a fixed sleep, its real time. By TCG's own clock the same boot took 3.4 to 5.1 s beside other work.
 */

import { Machine } from '../../src/cli/boot/machine.ts'
import type { Lab } from '../../test/support/lab/index.ts'
import { parseSpans, type Spans } from './spans.ts'
import { arrival, timelineMarks } from './target.ts'

export const clocks = ['instructions', 'tcg'] as const

export type Clock = (typeof clocks)[number]

const clockArguments: Readonly<Record<Clock, readonly string[]>> = {
  instructions: ['-icount', 'shift=1,sleep=on'],
  tcg: [],
}

/** Of this machine's time: the slowest peer takes a minute here, and four beside much else. */
const usualPatienceMs = 300_000

export interface Boot {
  readonly kernel: string
  readonly initrd: string
  readonly append: string
}

export interface BootOptions {
  readonly memoryMb: number
  readonly clock: Clock
  /** One, unless told; with the clock of instructions they take turns. */
  readonly processors?: number
  readonly patienceMs?: number
}

/** By the guest's kernel, in seconds since its start. */
export interface Booted {
  readonly init: number
  readonly system: number
  /** Ours only. */
  readonly spans: Spans | undefined
}

/** Rejects with what the guest said last. */
export async function bootOnce(
  lab: Lab,
  { append, initrd, kernel }: Boot,
  { clock, memoryMb, patienceMs = usualPatienceMs, processors = 1 }: BootOptions,
): Promise<Booted> {
  const guest = await Machine.start({
    start: { by: 'kernel', kernel, initrd, append: `console=ttyS0 panic=-1 ${append}` },
    memoryMb,
    bare: true,
    cards: [{ kind: 'tap', lab }],
    qemu: [...clockArguments[clock], '-smp', String(processors)],
  })
  try {
    const stamp = async (line: string) => {
      const pattern = new RegExp(`\\[ *([\\d.]+)\\] ${line}`)
      return Number((await guest.console.waitFor(pattern, patienceMs))[1])
    }
    const init = await stamp('Run /init as init process')
    const system = await stamp(arrival)
    const [begin, end] = timelineMarks
    const told = await guest.console.waitFor(new RegExp(`${begin}\\n([\\s\\S]*?)\\n${end}`), patienceMs)
    return { init, system, spans: parseSpans(told[1] ?? '') }
  } finally {
    await guest.stop()
  }
}
