/**
 * When a boot has failed: what was tried, what came back, what to do; then a shell on every console, another try, or
 * a reboot. Returns when the boot is to be tried again.
 */

import { parseCommandLine } from '../boot/command-line.ts'
import { showDuration } from '../boot/format.ts'
import { type BootPlan, type FailurePlan, planFailure } from '../boot/plan.ts'
import { readSettings } from '../boot/settings.ts'
import type { ShellCommand, Sys } from '../sys/index.ts'
import type { BootEvents } from './listeners.ts'
import type { Screen } from './screen.ts'
import { openShells } from './shells.ts'
import { explain, type Story } from './story.ts'
import { timelineTable } from './timeline.ts'

export interface Recovery {
  readonly sys: Sys
  readonly screen: Screen
  readonly story: Story
  readonly events: BootEvents
  /** Undefined when the plan itself could not be made. */
  readonly plan: BootPlan | undefined
}

/** Who watches is to hear of it first, within reason. */
const lastWordMs = 3000

export async function recover(recovery: Recovery, error: unknown): Promise<string> {
  const { sys, screen, story, events } = recovery
  await story.settled()
  const { phase, error: first } = story.failure ?? { phase: 'handoff', error }
  const { chain, advice } = explain(first)
  screen.important(describe(phase, chain, advice, recovery.plan?.debug ? first : undefined))
  const timeline = story.timeline()
  await events.last({ event: 'failed', at: sys.clock.now(), phase, chain, advice, timeline }, lastWordMs)
  await sys.files.sync()
  const failure = recovery.plan?.onFailure ?? (await failurePlanOfCommandLine(sys))
  switch (failure.action) {
    case 'reboot':
      return rebootAfter(recovery, failure)
    case 'retry':
      screen.important(`Trying again in ${showDuration(failure.delayMs)} (diskless.onfail=retry).`)
      await sys.clock.sleep(failure.delayMs)
      return 'diskless.onfail=retry'
    case 'shell':
      return offerShells(recovery, failure, phase)
  }
}

function describe(
  phase: string,
  chain: readonly string[],
  advice: readonly string[],
  debug: unknown,
): string {
  const [what = 'unknown', ...causes] = chain
  return [
    '',
    `The boot failed in the phase "${phase}".`,
    `  What was tried: ${what}`,
    ...causes.map((cause, at) => `${at === 0 ? '  What came back: ' : '                  '}${cause}`),
    ...advice.map((line, at) => `${at === 0 ? '  What to do:     ' : '                  '}${line}`),
    ...(debug instanceof Error && debug.stack !== undefined ? [debug.stack] : []),
  ].join('\n')
}

/** Even a command line that makes no plan says what a failure should lead to. */
async function failurePlanOfCommandLine(sys: Sys): Promise<FailurePlan> {
  const text = (await sys.files.readTexts(['/proc/cmdline'])).get('/proc/cmdline') ?? ''
  return planFailure(readSettings(parseCommandLine(text)))
}

async function rebootAfter({ sys, screen }: Recovery, { delayMs }: FailurePlan): Promise<never> {
  screen.important(`Rebooting in ${showDuration(delayMs)}.`)
  await sys.clock.sleep(delayMs)
  return sys.supervisor.reboot('reboot')
}

/** Resolves with the reason for the next try: `retry` typed, a shell left, or nobody there. */
async function offerShells(recovery: Recovery, failure: FailurePlan, phase: string): Promise<string> {
  const { sys, events } = recovery
  const idle =
    failure.idleMs === undefined
      ? ''
      : ` Left alone for ${showDuration(failure.idleMs)}, it does so by itself.`
  const greeting = `retry runs "${phase}" again; log, plan and timeline show what they say. Leaving the shell tries again.${idle}`
  const shells = await openShells(sys, recovery.plan, greeting)
  events.send({ event: 'shell', at: sys.clock.now(), phase, consoles: shells.devices })
  const over = new AbortController()
  const endings = [
    answerCommands(recovery, over.signal),
    shells.left.then(async (device) => {
      if (device !== undefined) return `the shell on ${device} was left`
      await sys.clock.sleep(failure.idleMs ?? failure.delayMs, over.signal)
      return 'nobody could get into a shell'
    }),
    ...(failure.idleMs === undefined
      ? []
      : [waitUntilIdle(sys, shells.devices, failure.idleMs, over.signal)]),
  ]
  const why = await Promise.race(endings)
  over.abort()
  await shells.close()
  return why
}

async function answerCommands(recovery: Recovery, signal: AbortSignal): Promise<string> {
  for await (const command of recovery.sys.supervisor.commands(signal)) {
    if (await answer(recovery, command)) return 'retry was typed'
  }
  throw new Error('the shell’s commands ended')
}

/** True when it was `retry`. */
async function answer({ sys, story, plan }: Recovery, command: ShellCommand): Promise<boolean> {
  switch (command.argv[0]) {
    case 'retry':
      await command.answer('', 0)
      return true
    case 'log':
      await command.answer(story.log.join('\n'), 0)
      return false
    case 'plan':
      await command.answer(
        plan === undefined
          ? 'There is no plan: the command line could not be read.'
          : JSON.stringify(plan, undefined, 2),
        0,
      )
      return false
    case 'timeline':
      await command.answer(timelineTable(story.timeline(), sys.clock.now()), 0)
      return false
    default:
      await command.answer(`${command.argv[0]}: the commands are retry, log, plan, timeline`, 2)
      return false
  }
}

async function waitUntilIdle(
  sys: Sys,
  devices: readonly string[],
  idleMs: number,
  signal: AbortSignal,
): Promise<string> {
  const since = sys.clock.now()
  for (;;) {
    const quiet = await Promise.all(devices.map((device) => sys.consoles.idle(device)))
    const left = idleMs - Math.min(sys.clock.now() - since, ...quiet)
    if (left <= 0) return `nobody typed for ${showDuration(idleMs)}`
    await sys.clock.sleep(left, signal)
  }
}
