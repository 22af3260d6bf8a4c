/**
 * The cable of delayed-link.ts, a process of its own: `node delayed-relay.ts DEVICE DEVICE MILLISECONDS` carries frames
 * between two macvtaps, each that long after it came. In each direction one thread reads and one writes, both without an
 * event loop, which would take longer for a frame than the frame takes on a fast network.
 */

import { openSync, readSync, writeSync } from 'node:fs'
import { isMainThread, Worker, workerData } from 'node:worker_threads'

/** The longest that a frame can be: 64 KiB not cut into segments yet, with the headers of Ethernet and of virtio. */
const longest = 65_536 + 64
/** Frames on their way at the same time. */
const most = 512

/** A ring of frames that both threads see. */
interface Cable {
  readonly from: number
  readonly to: number
  readonly delayMs: number
  readonly bytes: SharedArrayBuffer
  /** Of each: its length, and since when it is on its way, milliseconds. */
  readonly lengths: SharedArrayBuffer
  readonly times: SharedArrayBuffer
  /** How many frames were read and written so far. */
  readonly counts: SharedArrayBuffer
}

interface Work {
  readonly task: 'read' | 'write'
  readonly cable: Cable
}

const [readSoFar, writtenSoFar] = [0, 1]
/** Stays 0. */
const sleep = new Int32Array(new SharedArrayBuffer(4))

if (isMainThread) {
  const [near = '', far = '', delay = ''] = process.argv.slice(2)
  const [one, other] = [openSync(near, 'r+'), openSync(far, 'r+')]
  for (const [from, to] of [[one, other] as const, [other, one] as const]) {
    const cable: Cable = {
      from,
      to,
      delayMs: Number(delay),
      bytes: new SharedArrayBuffer(most * longest),
      lengths: new SharedArrayBuffer(most * 4),
      times: new SharedArrayBuffer(most * 8),
      counts: new SharedArrayBuffer(8),
    }
    for (const task of ['read', 'write'] as const) {
      new Worker(new URL(import.meta.url), { workerData: { task, cable } satisfies Work })
    }
  }
} else {
  const { task, cable }: Work = workerData
  carry(task, cable)
}

function carry(task: Work['task'], { from, to, delayMs, bytes, lengths, times, counts }: Cable): never {
  const frames = Array.from({ length: most }, (_, n) => new Uint8Array(bytes, n * longest, longest))
  const length = new Int32Array(lengths)
  const since = new Float64Array(times)
  const count = new Int32Array(counts)
  const now = () => performance.timeOrigin + performance.now()
  for (let n = 0; ; n++) {
    const at = n % most
    const frame = frames[at] ?? new Uint8Array()
    if (task === 'read') {
      // Where the ring is full, the frames wait in the kernel.
      for (let gone = Atomics.load(count, writtenSoFar); n - gone >= most; ) {
        Atomics.wait(count, writtenSoFar, gone)
        gone = Atomics.load(count, writtenSoFar)
      }
      length[at] = readSync(from, frame)
      since[at] = now()
      Atomics.store(count, readSoFar, n + 1)
      Atomics.notify(count, readSoFar)
    } else {
      while (Atomics.load(count, readSoFar) <= n) Atomics.wait(count, readSoFar, n)
      const due = (since[at] ?? 0) + delayMs
      // Nobody wakes this one: it sleeps until then.
      for (let wait = due - now(); wait > 0; wait = due - now()) Atomics.wait(sleep, 0, 0, wait)
      writeSync(to, frame, 0, length[at])
      Atomics.store(count, writtenSoFar, n + 1)
      Atomics.notify(count, writtenSoFar)
    }
  }
}
