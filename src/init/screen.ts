/**
 * What a person sees on the consoles: one line a phase, and on a screen a progress bar while a download takes longer
 * than a blink. A serial line gets no bar: it may be a log.
 */

import { showBytes, showDuration } from '../boot/format.ts'
import type { Console, Sys } from '../sys/index.ts'

export interface Bar {
  readonly done: number
  readonly total: number
  /** Bytes or other units a second are computed from `done`. */
  readonly text: string
}

export interface Screen {
  /** Not shown with `quiet`. */
  line(text: string): void
  /** Shown always: failures and warnings. */
  important(text: string): void
  progress(name: string, since: number, bar: Bar): void
  endProgress(name: string): void
  setQuiet(quiet: boolean): void
  /** Until the consoles are known, lines are kept. */
  setConsoles(consoles: readonly Console[]): void
  /** What could not be written, once each console. */
  readonly trouble: readonly string[]
}

/** A bar appears after this long, and is redrawn at most so often. */
const blinkMs = 400
const redrawMs = 100
const barWidth = 28

export function openScreen(sys: Sys): Screen {
  let quiet = false
  let consoles: readonly Console[] | undefined
  let early: string[] = []
  let shown: { name: string; at: number } | undefined
  const trouble = new Map<string, string>()

  function write(text: string, to: (console: Console) => boolean = () => true): void {
    if (consoles === undefined) {
      early.push(text)
      return
    }
    for (const console of consoles.filter(to)) {
      sys.consoles.write(console.device, text).then(undefined, (error: unknown) => {
        trouble.set(console.device, String(error))
      })
    }
  }

  const isScreen = (console: Console) => console.screen
  const clearBar = () => {
    if (shown !== undefined) write('\r\x1b[K', isScreen)
  }

  return {
    line(text) {
      if (quiet) return
      clearBar()
      write(`${text}\r\n`)
    },
    important(text) {
      clearBar()
      write(`${text.replace(/\n/g, '\r\n')}\r\n`)
    },
    progress(name, since, bar) {
      const now = sys.clock.now()
      if (quiet || now - since < blinkMs || (shown !== undefined && now - shown.at < redrawMs)) return
      shown = { name, at: now }
      write(`\r${drawBar(name, now - since, bar)}\x1b[K`, isScreen)
    },
    endProgress(name) {
      if (shown?.name !== name) return
      clearBar()
      shown = undefined
    },
    setQuiet(value) {
      quiet = value
    },
    setConsoles(found) {
      consoles = found
      const kept = early
      early = []
      for (const text of kept) write(text)
    },
    get trouble() {
      return [...trouble].map(([device, text]) => `${device}: ${text}`)
    },
  }
}

function drawBar(name: string, elapsedMs: number, { done, total, text }: Bar): string {
  const share = total > 0 ? Math.min(done / total, 1) : 0
  const filled = Math.round(share * barWidth)
  const rate = elapsedMs > 0 ? (done / elapsedMs) * 1000 : 0
  const left = rate > 0 && total > done ? `  ${showDuration(((total - done) / rate) * 1000)} left` : ''
  const bar = `${'#'.repeat(filled)}${'.'.repeat(barWidth - filled)}`
  return `  ${name.padEnd(9)} [${bar}] ${String(Math.floor(share * 100)).padStart(3)} %  ${showBytes(done)} of ${showBytes(total)}  ${showBytes(rate)}/s${left}  ${text}`.slice(
    0,
    118,
  )
}
