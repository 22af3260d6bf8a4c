/** What the e2e tests share: a guest that boots our initrd, its refusals, and what one types to it. */

import { describe, inject } from 'vitest'
import { makeOverlay } from '../../scripts/repository/overlay.ts'
import type { GuestEvent } from '../../src/cli/boot/events.ts'
import { type Card, type Disk, Machine } from '../../src/cli/boot/machine.ts'
import { FileServer } from '../support/qemu/server.ts'
import { patience } from '../support/qemu/session.ts'

export { logIn, patience, runIn } from '../support/qemu/session.ts'

export const onlyCard: readonly Card[] = [{ kind: 'user' }]

export interface GuestOptions {
  readonly cards?: readonly Card[]
  readonly disks?: readonly Disk[]
  readonly memoryMb?: number
  /** `inject('fullInitrd')`: for disks and NFS. */
  readonly initrd?: string
  /** Besides console=ttyS0 and that an idle shell waits for the test. */
  readonly append?: readonly string[]
  readonly clock?: string
  /** More of QEMU's arguments. */
  readonly qemu?: readonly string[]
}

/** Boots the kernel directly: the firmware's part is the demo's to prove. */
export function bootGuest({
  append = [],
  cards = onlyCard,
  disks = [],
  memoryMb = 512,
  initrd,
  clock,
  qemu = [],
}: GuestOptions): Promise<Machine> {
  return Machine.start({
    start: {
      by: 'kernel',
      kernel: inject('image'),
      initrd: initrd ?? inject('initrd'),
      append: ['console=ttyS0', 'diskless.idle=0', ...append].join(' '),
    },
    memoryMb,
    cards,
    disks,
    qemu,
    ...(clock === undefined ? {} : { clock }),
  })
}

/** The demo's repository and an overlay that asks for nothing; `append` is what boots from them, quietly. */
export async function serveBox(): Promise<{
  readonly server: FileServer
  readonly append: (...more: string[]) => readonly string[]
}> {
  const server = await FileServer.start(inject('demo'))
  const bytes = makeOverlay({ hostname: 'box', world: [], runlevels: {} })
  server.behave(/apkovl/, { kind: 'bytes', bytes })
  const sources = [`apkovl=${server.url}/box.apkovl.tar.gz`, `alpine_repo=${server.url}/apks`]
  return { server, append: (...more) => ['quiet', 'ip=dhcp', ...sources, ...more] }
}

/** Tests that need `inject('installed')`; the reason of a skip is in the name (scripts/test.ts prints it). */
export function describeAsRoot(name: string, tests: () => void): void {
  if (inject('installed') !== '') describe(name, tests)
  else describe.skip(`${name} (needs root)`, tests)
}

export interface Refusal {
  readonly phase: string
  /** What a person saw, from the failure's first line to the shell's prompt. */
  readonly text: string
}

/** Waits for the boot to fail, and for the shell. Throws at once when it hands over instead. */
export async function refusal(guest: Machine, deadlineMs = patience): Promise<Refusal> {
  const over = new AbortController()
  try {
    const [text] = await Promise.race([
      guest.console.waitFor(/The boot failed[\s\S]*diskless# $/, deadlineMs, over.signal),
      guest.events.happened('handoff', deadlineMs, over.signal).then((handoff) => {
        throw new Error(`something was handed over: ${JSON.stringify(handoff.fields)}`)
      }),
    ])
    // From the console: what fails before the drivers are there has no events.
    const phase = /in the phase "(\w+)"/.exec(text)?.[1] ?? ''
    if (!text.includes('What was tried: '))
      throw new Error(`the message does not say what was tried:\n${text}`)
    return { phase, text }
  } finally {
    over.abort()
  }
}

/** Types `retry` at the shell's prompt. */
export function retry(guest: Machine): void {
  guest.type('retry\n')
}

/** Waits for the hand-over to the new init. */
export function handover(guest: Machine, deadlineMs = patience): Promise<GuestEvent> {
  return guest.events.waitFor('handoff', {}, deadlineMs)
}
