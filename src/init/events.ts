/**
 * The boot's events as JSON lines on the virtio-serial port named `diskless.events`, when the machine has one: for
 * tests and for whoever boots virtual machines. Until the port's driver is there, and if there is none, events wait in
 * a bounded buffer. drivers/char/virtio_console.c: the port's name is in /sys/class/virtio-ports/vportNpM/name.
 */
import type { Sys } from '../sys/index.ts'

export const portName = 'diskless.events'

export type BootEvent = { readonly event: string; readonly at: number } & Readonly<Record<string, unknown>>

export interface EventPort {
  send(event: BootEvent): void
  /** Looks for the port; called when drivers were loaded. */
  open(): Promise<void>
}

const mostWaiting = 500

export function openEventPort(sys: Sys): EventPort {
  let device: string | undefined
  let waiting: string[] = []

  function write(line: string): void {
    if (device === undefined) {
      waiting.push(line)
      if (waiting.length > mostWaiting) waiting.shift()
      return
    }
    // A reader that went away must not stop a boot: the port is given up.
    sys.consoles.write(device, line).then(undefined, () => {
      device = undefined
      waiting = []
    })
  }

  return {
    send: (event) => write(`${JSON.stringify(event)}\n`),
    async open() {
      const ports = '/sys/class/virtio-ports'
      if (device !== undefined || (await sys.files.status(ports)) === undefined) return
      const names = (await sys.files.list(ports)).map((port) => `${ports}/${port}/name`)
      for (const [path, name] of await sys.files.readTexts(names)) {
        if (name.trim() === portName) device = `/dev/${path.split('/').at(-2)}`
      }
      const kept = waiting
      waiting = []
      for (const line of kept) write(line)
    },
  }
}
