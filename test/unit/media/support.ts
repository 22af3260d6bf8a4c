/** What tests of media share. */
import { parseCommandLine } from '../../../src/boot/command-line.ts'
import { planRoot, type RamRootPlan } from '../../../src/boot/root-plan.ts'
import { readSettings } from '../../../src/boot/settings.ts'
import type { MediaEvents } from '../../../src/media/media.ts'
import type { Media } from '../../support/machine/index.ts'

export function ramPlan(commandLine: string): RamRootPlan {
  const plan = planRoot(readSettings(parseCommandLine(commandLine)))
  if (plan.kind !== 'ram') throw new Error(`${commandLine} is a root of kind ${plan.kind}`)
  return plan
}

export function told() {
  const notices: string[] = []
  const warnings: string[] = []
  const events: MediaEvents = {
    onNotice: (text) => notices.push(text),
    onWarning: (text) => warnings.push(text),
    signal: new AbortController().signal,
  }
  return { ...events, notices, warnings }
}

export const stick: Media = {
  type: 'xfs',
  files: { '/alpine/apks/.boot_repository': '', '/box.apkovl.tar.gz': 'overlay' },
  contents: { label: 'STICK', uuid: 'c0ffee00-0000-4000-8000-000000000001', partLabel: 'boot' },
}
