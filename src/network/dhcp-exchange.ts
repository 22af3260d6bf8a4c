/** What DHCP's clients have in common, whichever the protocol: packets get lost, waits end, and a person is told. */

import { hasCode, type Sys, SysError } from '../sys/index.ts'

export interface DhcpEvents {
  /** A line for the person who waits: every retransmission, every refusal. */
  readonly onNotice: (text: string) => void
}

/** A send that fails is a packet lost: the retransmission is the answer to it. */
export async function sendOrTell(
  link: string,
  what: string,
  events: DhcpEvents,
  send: () => Promise<void>,
): Promise<void> {
  try {
    await send()
  } catch (error) {
    events.onNotice(`${link}: could not send ${what}: ${wordsOf(error)}`)
  }
}

/** Gives an address back. No reason not to boot: the server keeps it until its time is over. */
export async function giveBack(
  link: string,
  address: string,
  events: DhcpEvents,
  give: () => Promise<void>,
): Promise<void> {
  try {
    await give()
  } catch (error) {
    events.onNotice(`${link}: could not give ${address} back: ${wordsOf(error)}`)
  }
}

/** The next message, or the timer at `wakeAt` (clock.now). Rejects with ABORTED. */
export async function nextArrival<M>(
  sys: Pick<Sys, 'clock'>,
  { link, wakeAt, events, signal }: Wait,
  receive: () => Promise<M | undefined>,
): Promise<{ readonly kind: 'received'; readonly message: M } | { readonly kind: 'timer' }> {
  try {
    const message = await receive()
    return message === undefined ? { kind: 'timer' } : { kind: 'received', message }
  } catch (error) {
    if (hasCode(error, 'ABORTED')) throw error
    events.onNotice(`${link}: could not receive: ${wordsOf(error)}`)
    await sys.clock.sleep(Math.max(0, wakeAt - sys.clock.now()), signal)
    return { kind: 'timer' }
  }
}

interface Wait {
  readonly link: string
  readonly wakeAt: number
  readonly events: DhcpEvents
  readonly signal: AbortSignal
}

/** Only what the machine refused is a lost packet; anything else is a bug of ours and goes up. */
export function wordsOf(error: unknown): string {
  if (!(error instanceof SysError)) throw error
  return error.message
}
