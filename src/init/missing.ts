/**
 * What the world asks for and the system will not have: as on Alpine the boot goes on without it, but says so on the
 * consoles, in the timeline, in /run/diskless/ and in the message of the day; with diskless.world=strict it stops.
 */

import { type DroppedEntry, describeDropped } from '../apk/select.ts'
import { showCount } from '../boot/format.ts'
import type { RamBootPlan } from '../boot/plan.ts'
import { writeIn } from '../root/in-root.ts'
import { sysroot } from '../root/ram.ts'
import { BootError, type Sys } from '../sys/index.ts'
import type { Report } from './story.ts'

/** JSON: `{version, missing: [{entry, chain, nearMisses}]}`; with none missing as well, for whoever watches a fleet. */
export const worldPath = '/run/diskless/world.json'

/** Throws a BootError that names them all, where the plan is strict. */
export function tellMissing(
  { root: { strictWorld } }: RamBootPlan,
  dropped: readonly DroppedEntry[],
  report: Report,
): void {
  if (dropped.length === 0) return
  if (strictWorld) throw refusal(dropped.map(describeDropped))
  for (const each of dropped) report.warn(`the system comes up incomplete: ${describeDropped(each)}`)
}

function refusal(all: readonly string[]): BootError {
  const [only] = all
  const what =
    all.length === 1 && only !== undefined
      ? only
      : `${showCount(all.length, 'package')} of the world cannot be had`
  return new BootError(what, {
    ...(all.length === 1 ? {} : { cause: new Error(all.join('; ')) }),
    advice: [
      'correct etc/apk/world or the repositories, or let the boot go on without it: drop diskless.world=strict',
    ],
  })
}

/** For whoever logs in, and for what runs there. */
export async function leaveWord(sys: Sys, dropped: readonly DroppedEntry[]): Promise<void> {
  await sys.files.writeText(worldPath, `${JSON.stringify({ version: 1, missing: dropped }, undefined, 2)}\n`)
  const path = await sys.files.resolveIn(sysroot, '/etc/motd')
  const found = path === undefined ? '' : await sys.files.readText(path)
  // lbu commit saves the message with the rest of /etc: what an earlier boot said is not to be said for ever.
  const own = withoutOurs(found)
  const text = dropped.length === 0 ? own : `${own}${messageOf(dropped)}`
  if (text !== found) await writeIn(sys, sysroot, 'etc/motd', text)
}

const firstLine = '*** This system came up otherwise than its world asks for (diskless):'
const lastLine = `*** ${worldPath} has them too. Correct /etc/apk/world or the repositories, and boot again.`

function messageOf(dropped: readonly DroppedEntry[]): string {
  return `${[firstLine, ...dropped.map((each) => `  ${describeDropped(each)}`), lastLine].join('\n')}\n`
}

function withoutOurs(text: string): string {
  const start = text.indexOf(firstLine)
  const end = text.indexOf(lastLine, start)
  return start < 0 || end < 0 ? text : text.slice(0, start) + text.slice(end + lastLine.length + 1)
}
