/** Whom guests tell of their boots, on this host's loopback: the receiver and the fleet of `diskless watch`. */
import { Source, waitUntil } from '../../src/cli/boot/transcript.ts'
import { type Machine, openFleet } from '../../src/cli/watch/fleet.ts'
import { listen } from '../../src/cli/watch/receiver.ts'

export interface Reports {
  /** As guests in QEMU's user network see it. */
  readonly url: string
  /** The first machine of which this holds, now or later. */
  until(is: (machine: Machine) => boolean, deadlineMs: number): Promise<Machine>
  close(): Promise<void>
}

export async function hearReports(): Promise<Reports> {
  const fleet = openFleet(10)
  const source = new Source()
  const place = { address: '127.0.0.1', port: 0 }
  const listening = await listen(place, {
    onBatch(batch, from) {
      fleet.hear(batch, from, performance.now())
      source.emit('change')
      return true
    },
    onRefused: (_, why) => source.end(new Error(`a report was refused: ${why}`)),
  })
  return {
    url: `http://10.0.2.2:${listening.port}/`,
    until: (is, deadlineMs) =>
      waitUntil(
        source,
        () => fleet.machines.find(is),
        deadlineMs,
        () => `such a machine; there were: ${JSON.stringify(fleet.machines)}`,
      ),
    close: () => listening.close(),
  }
}
