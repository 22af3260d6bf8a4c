/** Everybody who hears of a boot while it goes on: whoever has the machine in its hands, and who watches. */

import type { BootEvent, EventPort } from './events.ts'
import type { Reporter } from './report.ts'

export interface BootEvents extends EventPort, Pick<Reporter, 'progress'> {
  /** A last word: whoever has the machine in its hands hears of it when who watches has, or after so long. */
  last(event: BootEvent, withinMs: number): Promise<void>
}

/** The port and the reporter. How far a download is goes to the latter alone: who has the machine sees its screen. */
export function tellEverybody(port: EventPort, { send, progress, flush }: Reporter): BootEvents {
  return {
    send(event) {
      port.send(event)
      send(event)
    },
    async last(event, withinMs) {
      send(event)
      await flush(withinMs)
      port.send(event)
    },
    open: () => port.open(),
    progress,
  }
}
