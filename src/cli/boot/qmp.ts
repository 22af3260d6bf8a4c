/** QEMU's control channel (QMP, docs/interop/qmp-spec): commands one at a time, and the events that QEMU sends. */

import { EventEmitter } from 'node:events'
import type { Socket } from 'node:net'

interface Waiting {
  resolve(): void
  reject(error: Error): void
}

export class Qmp extends EventEmitter {
  readonly #socket: Socket
  readonly #waiting: Waiting[] = []
  #partial = ''

  constructor(socket: Socket) {
    super()
    this.#socket = socket
    socket.setEncoding('utf8')
    socket.on('data', (text: string) => this.#read(text))
    socket.on('close', () => this.#drop(new Error('QEMU closed its control channel')))
    socket.on('error', (error) => this.#drop(error))
  }

  /** Resolves when QEMU has done it; rejects with QEMU's words. */
  execute(command: string, parameters: Readonly<Record<string, unknown>> = {}): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject })
      this.#socket.write(`${JSON.stringify({ execute: command, arguments: parameters })}\n`)
    })
  }

  #read(text: string): void {
    const lines = (this.#partial + text).split('\n')
    this.#partial = lines.pop() ?? ''
    for (const line of lines) if (line.trim() !== '') this.#message(JSON.parse(line))
  }

  #message(message: {
    event?: string
    data?: { reason?: string }
    error?: { desc?: string }
    return?: unknown
  }): void {
    if (message.event !== undefined) this.emit('event', message.event, message.data?.reason)
    else if (message.error !== undefined) this.#waiting.shift()?.reject(new Error(message.error.desc))
    else if ('return' in message) this.#waiting.shift()?.resolve()
  }

  #drop(error: Error): void {
    for (const { reject } of this.#waiting.splice(0)) reject(error)
  }
}
