/** What a subcommand says: its result on standard output, words on the way on standard error, colours only for a terminal. */

import { styleText } from 'node:util'

export interface Output {
  /** What was asked for: as JSON where `--json` is given, else as `text` for a person. */
  result(value: unknown, text: () => string): void
  /** A part of what was asked for, as it comes: standard output, without a line's end added. */
  print(text: string): void
  /** A word on the way, a line: standard error, unless `--quiet`. */
  tell(line: string): void
  /** Work that takes longer than a blink: a line that is drawn anew on a terminal, a line at its end elsewhere. */
  progress(what: string, unit?: Unit): Progress
  /** For standard output: the text itself where colours are not wanted (no terminal, NO_COLOR). */
  style(style: Style, text: string): string
  /** Columns of standard output; 100 where it is no terminal. */
  readonly width: number
  readonly json: boolean
  readonly quiet: boolean
}

export type Style = 'bold' | 'dim' | 'red' | 'green' | 'yellow' | 'cyan'
export type Unit = 'bytes' | 'things'

export interface Progress {
  /** `total` where it is known. */
  update(done: number, total?: number): void
  /** `words` say how it ended; without them the line goes without a trace. */
  end(words?: string): void
}

/** A terminal, or what stands for one. */
export interface Stream {
  write(text: string): unknown
  readonly isTTY?: boolean
  readonly columns?: number
}

/** A line is drawn anew at most this often, in milliseconds. */
const REDRAW = 100
const BAR = 24

export function openOutput(
  wishes: { readonly json: boolean; readonly quiet: boolean },
  out: NodeJS.WriteStream = process.stdout,
  err: NodeJS.WriteStream = process.stderr,
): Output {
  const line = new LiveLine(err)
  return {
    ...wishes,
    width: Math.max(40, out.isTTY ? out.columns || 100 : 100),
    result: (value, text) => {
      out.write(wishes.json ? `${JSON.stringify(value, null, 2)}\n` : text())
    },
    print: (text) => {
      out.write(text)
    },
    tell: (text) => {
      if (!wishes.quiet) line.above(`${text}\n`)
    },
    progress: (what, unit = 'bytes') => startProgress(what, unit, wishes.quiet ? undefined : line),
    style: (style, text) => styleText(style, text, { stream: out }),
  }
}

/** The last line of a terminal, drawn anew; where there is no terminal, nothing. */
class LiveLine {
  private readonly stream: Stream
  private shown = ''

  constructor(stream: Stream) {
    this.stream = stream
  }

  show(text: string): void {
    if (!this.stream.isTTY) return
    // A terminal that was never told its size says 0.
    this.shown = text.slice(0, (this.stream.columns || 80) - 1)
    this.stream.write(`\r\x1b[K${this.shown}`)
  }

  above(text: string): void {
    if (this.shown === '') this.stream.write(text)
    else this.stream.write(`\r\x1b[K${text}${this.shown}`)
  }

  clear(): void {
    if (this.shown !== '') this.stream.write('\r\x1b[K')
    this.shown = ''
  }
}

function startProgress(what: string, unit: Unit, line: LiveLine | undefined): Progress {
  let drawn = Number.NEGATIVE_INFINITY
  line?.show(what)
  return {
    update(done, total) {
      const now = performance.now()
      if (line === undefined || now - drawn < REDRAW) return
      drawn = now
      line.show(`${what} ${measure(done, total, unit)}`)
    },
    end(words) {
      line?.clear()
      if (words !== undefined) line?.above(`${words}\n`)
    },
  }
}

/** `[########----] 12.3 of 40.1 MB` */
export function measure(done: number, total: number | undefined, unit: Unit): string {
  const amount = (count: number) => (unit === 'bytes' ? (count / 1e6).toFixed(1) : `${count}`)
  const suffix = unit === 'bytes' ? ' MB' : ''
  if (total === undefined || total <= 0) return `${amount(done)}${suffix}`
  const full = Math.round(Math.min(1, Math.max(0, done / total)) * BAR)
  return `[${'#'.repeat(full)}${'-'.repeat(BAR - full)}] ${amount(done)} of ${amount(total)}${suffix}`
}
