/** What a guest said, kept whole, and waiting for it to say something: by event, with a deadline, never by polling. */

import { EventEmitter, once } from 'node:events'

export class DeadlinePassed extends Error {
  override readonly name = 'DeadlinePassed'
}

/** What grows as a guest speaks. `change` is emitted when it did, or when there will be no more. */
export class Source extends EventEmitter {
  #over: Error | undefined

  /** Why there will be no more. */
  get over(): Error | undefined {
    return this.#over
  }

  /** Whoever waits, or will, is told this. */
  end(why: Error): void {
    this.#over ??= why
    this.emit('change')
  }
}

/** Waits for `find` to find something, looking again at each `change`. `describe` says what there was instead. */
export async function waitUntil<T>(
  source: Source,
  find: () => T | undefined,
  deadlineMs: number,
  describe: () => string,
  signal?: AbortSignal,
): Promise<T> {
  const timeout = AbortSignal.timeout(deadlineMs)
  const stop = signal === undefined ? timeout : AbortSignal.any([timeout, signal])
  for (;;) {
    const found = find()
    if (found !== undefined) return found
    if (source.over !== undefined) throw new Error(`${source.over.message}, before ${describe()}`)
    if (timeout.aborted) throw new DeadlinePassed(`not within ${deadlineMs / 1000} s: ${describe()}`)
    signal?.throwIfAborted()
    await once(source, 'change', { signal: stop }).catch((error: unknown) => {
      if (!stop.aborted) throw error
    })
  }
}

/** A console's text, without the escape sequences of terminals. */
export class Transcript extends Source {
  #text = ''
  /** The beginning of an escape sequence whose end has not come yet. */
  #partial = ''
  /** Where the next `waitFor` begins: each looks only at what came after the last one's match. */
  #read = 0

  add(bytes: string): void {
    const raw = this.#partial + bytes
    // biome-ignore lint/suspicious/noControlCharactersInRegex: that is how an escape sequence begins
    const cut = /\u001b(\[[0-9;?]*)?$/.exec(raw)?.index ?? raw.length
    this.#partial = raw.slice(cut)
    this.#text += plain(raw.slice(0, cut))
    this.emit('change')
  }

  /** All of it. */
  get text(): string {
    return this.#text
  }

  /** What came after the last match. */
  get rest(): string {
    return this.#text.slice(this.#read)
  }

  /** The last lines, for a message. */
  tail(lines = 40): string {
    return this.#text.trimEnd().split('\n').slice(-lines).join('\n')
  }

  /** Resolves with the match; the text up to its end counts as read. */
  async waitFor(pattern: RegExp, deadlineMs: number, signal?: AbortSignal): Promise<RegExpExecArray> {
    return waitUntil(
      this,
      () => this.#take(pattern),
      deadlineMs,
      () => `${pattern} on the console, which ends:\n${this.tail()}`,
      signal,
    )
  }

  #take(pattern: RegExp): RegExpExecArray | undefined {
    const match = pattern.exec(this.rest)
    if (match === null) return undefined
    this.#read += match.index + match[0].length
    return match
  }
}

/** Without CSI sequences, other two-byte escapes, and carriage returns. */
function plain(raw: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is taken out
  return raw.replace(/\u001b\[[0-9;?]*[A-Za-z]|\u001b[^[]|\r/g, '')
}
