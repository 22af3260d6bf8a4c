/**
 * A table on a terminal, drawn over itself: on the terminal's other screen, each line written anew and only then what is left
 * of the old one erased, so that nothing flickers. What was there before comes back at the end.
 */

export interface Terminal {
  write(text: string): unknown
  readonly columns?: number | undefined
  readonly rows?: number | undefined
  on(event: 'resize', listener: () => void): unknown
  off(event: 'resize', listener: () => void): unknown
}

export interface LiveTable {
  /** Draws soon: what comes quickly is drawn once. */
  changed(): void
  close(): void
}

const other = { enter: '\x1b[?1049h\x1b[?25l', leave: '\x1b[?25h\x1b[?1049l' }
/** Terminals that know it show nothing in between; the others ignore it. */
const together = { begin: '\x1b[?2026h', end: '\x1b[?2026l' }
const soonMs = 100
/** Times go on without a report. */
const everyMs = 1000

export function openLiveTable(
  terminal: Terminal,
  draw: (width: number, height: number) => readonly string[],
): LiveTable {
  let pending: NodeJS.Timeout | undefined
  const redraw = () => {
    clearTimeout(pending)
    pending = undefined
    const [width, height] = [terminal.columns ?? 80, terminal.rows ?? 24]
    const lines = draw(width, height).slice(0, height)
    const text = lines.map((line) => `${line}\x1b[K`).join('\r\n')
    terminal.write(`${together.begin}\x1b[H${text}\x1b[J${together.end}`)
  }
  terminal.write(other.enter)
  redraw()
  const clock = setInterval(redraw, everyMs)
  terminal.on('resize', redraw)
  return {
    changed() {
      pending ??= setTimeout(redraw, soonMs)
    },
    close() {
      clearTimeout(pending)
      clearInterval(clock)
      terminal.off('resize', redraw)
      terminal.write(other.leave)
    },
  }
}
