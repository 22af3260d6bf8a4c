/**
 * A wire that a test holds in its hand: cards of a guest on one side, QEMU's own network or the lab's on the other, and every
 * Ethernet frame between them goes through this process, which may tag, drop, delay or alter it (rough-wire.ts).
 */

import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { FrameWire, TapNetwork } from './hardware.ts'

/** `up`: from a card to the network. */
export type Direction = 'up' | 'down'

/** What comes out at the other end, and so much later. */
export interface Arrival {
  readonly frame: Buffer
  readonly afterMs: number
}

/** What becomes of a frame: itself, another one, undefined: it is lost, or several that come when they come. */
export type Passage = (frame: Buffer, direction: Direction) => Buffer | undefined | readonly Arrival[]

export const passing: Passage = (frame) => frame

/** Ethernet’s two addresses. */
const ADDRESSES = 12

/** A switch port that is a member of one VLAN, tagged, and of no other (802.1Q): the network behind it sees no tags. */
export function tagged(id: number): Passage {
  return (frame, direction) => {
    if (direction === 'down') {
      const tag = Buffer.from([0x81, 0x00, id >> 8, id & 0xff])
      return Buffer.concat([frame.subarray(0, ADDRESSES), tag, frame.subarray(ADDRESSES)])
    }
    const isOurs =
      frame.readUInt16BE(ADDRESSES) === 0x8100 && (frame.readUInt16BE(ADDRESSES + 2) & 0xfff) === id
    if (!isOurs) return undefined
    return Buffer.concat([frame.subarray(0, ADDRESSES), frame.subarray(ADDRESSES + 4)])
  }
}

export class Wire implements FrameWire {
  readonly card: string
  readonly uplink: string
  readonly lab: TapNetwork | undefined
  /** Changed at will, also while frames pass. */
  passage: Passage
  /** Frames that went each way, those that were lost aside. */
  readonly passed: Record<Direction, number> = { up: 0, down: 0 }
  readonly #directory: string
  readonly #servers: readonly Server[]
  readonly #cards = new Set<Socket>()
  #network: Socket | undefined

  private constructor(
    directory: string,
    servers: readonly Server[],
    passage: Passage,
    lab: TapNetwork | undefined,
  ) {
    this.lab = lab
    this.#directory = directory
    this.#servers = servers
    this.card = join(directory, 'card')
    this.uplink = join(directory, 'uplink')
    this.passage = passage
  }

  /** `lab`: where it leads; without one, to QEMU’s own network. Its sockets are in `scratch`. */
  static async lay(passage: Passage = passing, lab?: TapNetwork, scratch = tmpdir()): Promise<Wire> {
    const directory = mkdtempSync(join(scratch, 'diskless-wire-'))
    const cards = createServer()
    const uplinks = createServer()
    const wire = new Wire(directory, [cards, uplinks], passage, lab)
    cards.on('connection', (socket) => wire.#plug(socket))
    uplinks.on('connection', (socket) => {
      wire.#network = socket
      read(socket, (frame) => {
        // As a hub: a card drops what is not for it.
        for (const card of wire.#cards) wire.#pass(frame, 'down', card)
      })
    })
    cards.listen(wire.card)
    uplinks.listen(wire.uplink)
    await Promise.all([once(cards, 'listening'), once(uplinks, 'listening')])
    return wire
  }

  /** The guest must be gone. */
  cut(): void {
    for (const server of this.#servers) server.close()
    for (const socket of [...this.#cards, ...(this.#network ? [this.#network] : [])]) socket.destroy()
    rmSync(this.#directory, { recursive: true, force: true })
  }

  #plug(socket: Socket): void {
    this.#cards.add(socket)
    socket.on('close', () => this.#cards.delete(socket))
    read(socket, (frame) => this.#pass(frame, 'up', this.#network))
  }

  #pass(frame: Buffer, direction: Direction, to: Socket | undefined): void {
    const passed = this.passage(frame, direction)
    if (passed === undefined || to === undefined) return
    if (Buffer.isBuffer(passed)) this.#deliver(passed, direction, to)
    // A frame on its way keeps no process up: the guest's end does not wait for it.
    else
      for (const { frame: one, afterMs } of passed)
        setTimeout(() => this.#deliver(one, direction, to), afterMs).unref()
  }

  #deliver(frame: Buffer, direction: Direction, to: Socket): void {
    // The guest may have gone while a frame was on its way.
    if (!to.writable) return
    this.passed[direction] += 1
    const length = Buffer.alloc(4)
    length.writeUInt32BE(frame.length)
    to.write(Buffer.concat([length, frame]))
  }
}

/** QEMU’s stream: each frame after its length, big-endian. */
function read(socket: Socket, onFrame: (frame: Buffer) => void): void {
  let rest = Buffer.alloc(0)
  // The guest ends as it likes.
  socket.on('error', () => {})
  socket.on('data', (bytes) => {
    rest = Buffer.concat([rest, bytes])
    while (rest.length >= 4 && rest.length >= 4 + rest.readUInt32BE()) {
      const end = 4 + rest.readUInt32BE()
      onFrame(rest.subarray(4, end))
      rest = rest.subarray(end)
    }
  })
}
