/** init's events, as they come over the virtio-serial port `diskless.events`: JSON lines (src/init/events.ts). */

import { Source, waitUntil } from './transcript.ts'

export interface GuestEvent {
  readonly event: string
  /** Milliseconds since the kernel started. */
  readonly at: number
  readonly fields: Readonly<Record<string, unknown>>
}

export class EventLog extends Source {
  readonly all: GuestEvent[] = []
  #partial = ''
  #read = 0

  add(bytes: string): void {
    const lines = (this.#partial + bytes).split('\n')
    this.#partial = lines.pop() ?? ''
    for (const line of lines) if (line !== '') this.all.push(parseEvent(line))
    this.emit('change')
  }

  /**
   * The next event of this kind for which `matches` holds, among those after the one that the last call returned.
   * `{ phase: 'network', state: 'failed' }` compares fields.
   */
  async waitFor(
    event: string,
    fields: Readonly<Record<string, unknown>>,
    deadlineMs: number,
  ): Promise<GuestEvent> {
    return waitUntil(
      this,
      () => this.#take(event, fields),
      deadlineMs,
      () =>
        `the event ${event} ${JSON.stringify(fields)}; there were:\n${this.all
          .slice(-15)
          .map((one) => JSON.stringify(one.fields))
          .join('\n')}`,
    )
  }

  /** The first event of this kind, whether it is still to come or not. */
  async happened(event: string, deadlineMs: number, signal?: AbortSignal): Promise<GuestEvent> {
    return waitUntil(
      this,
      () => this.all.find((one) => one.event === event),
      deadlineMs,
      () => `the event ${event}`,
      signal,
    )
  }

  #take(event: string, fields: Readonly<Record<string, unknown>>): GuestEvent | undefined {
    for (let at = this.#read; at < this.all.length; at++) {
      const one = this.all[at]
      if (one?.event !== event) continue
      if (!Object.entries(fields).every(([key, value]) => one.fields[key] === value)) continue
      this.#read = at + 1
      return one
    }
    return undefined
  }
}

function parseEvent(line: string): GuestEvent {
  const value: unknown = JSON.parse(line)
  if (typeof value !== 'object' || value === null) throw new Error(`not an event: ${line}`)
  const fields: Record<string, unknown> = { ...value }
  const { event, at } = fields
  if (typeof event !== 'string' || typeof at !== 'number') throw new Error(`not an event: ${line}`)
  return { event, at, fields }
}
