/** What `diskless explain` tells of a command line and a machine, for tests that ask nobody. */

import { explainCommandLine } from '../../../../src/cli/explain/explanation.ts'
import type { MachineFacts } from '../../../../src/cli/explain/facts.ts'
import { explanationSheet } from '../../../../src/cli/explain/sheet.ts'
import { printSheet } from '../../../../src/cli/sheet.ts'

export const nobody: MachineFacts = {
  mac: undefined,
  uuid: undefined,
  cards: [],
  memory: undefined,
  architecture: 'x86_64',
  initrd: undefined,
}
export const plainPen = { width: 100, style: (_: string, text: string) => text }
export const explain = (text: string, machine: Partial<MachineFacts> = {}) =>
  explainCommandLine(text, { ...nobody, ...machine })
export const shown = (text: string, machine: Partial<MachineFacts> = {}) =>
  printSheet(
    explanationSheet(explain(text, machine), undefined, { ...nobody, ...machine }, plainPen),
    plainPen,
  )
export const phases = (text: string) => explain(text).steps.map(({ phase }) => phase)
export const step = (text: string, phase: string, machine: Partial<MachineFacts> = {}) => {
  const { steps, onFailure } = explain(text, machine)
  const found = [...steps, ...(onFailure === undefined ? [] : [onFailure])].find(
    (each) => each.phase === phase,
  )
  if (found === undefined) throw new Error(`${text} has no ${phase}`)
  return { ...found, text: found.says.join(' ') }
}

export const netboot =
  'modules=loop,squashfs quiet nomodeset console=tty0 console=ttyS0,115200 ip=dhcp apkovl=http://boot/{MAC}.apkovl.tar.gz alpine_repo=http://a/v3.19/main pkgs=chrony modloop=http://boot/modloop'
