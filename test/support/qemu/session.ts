/** A shell on a guest's console: logging in, and running commands there. */

import type { Machine } from '../../../src/cli/boot/machine.ts'

/** For everything that a guest may take; generous, as emulated guests share few cores with whatever else runs. */
export const patience = 120_000

export async function logIn(guest: Machine, password: string, deadlineMs = patience): Promise<void> {
  await guest.console.waitFor(/ login: $/, deadlineMs)
  guest.type('root\n')
  await guest.console.waitFor(/Password: $/, deadlineMs)
  guest.type(`${password}\n`)
  await guest.console.waitFor(/# $/, deadlineMs)
}

/** Runs a command in a shell that is open on the console; its output, without what the kernel says, and its status. */
export async function runIn(
  guest: Machine,
  command: string,
  deadlineMs = patience,
): Promise<{ readonly output: string; readonly status: number }> {
  // The terminal echoes what is typed, wrapped at its width: the markers' halves are apart there, and so only what
  // is printed matches.
  guest.type(`echo "--""begin--"; ${command}; echo "--""done $?--"\n`)
  // The kernel may have a word at any time, between the marker and its line's end, too: of a clock that it distrusts on a busy
  // host, for one. `dmesg -r` prints its lines so that they stay.
  const pattern = /--begin--(?:\[ *\d+\.\d+\] [^\n]*\n)*\n([\s\S]*?)--done (\d+)--/
  const match = await guest.console.waitFor(pattern, deadlineMs)
  await guest.console.waitFor(/# $/, deadlineMs)
  const output = (match[1] ?? '').replace(/^\[ *\d+\.\d+\] [^\n]*\n/gm, '')
  return { output, status: Number(match[2]) }
}
