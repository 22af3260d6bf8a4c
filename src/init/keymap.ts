/** The keymap of the screens: keymap=NAME, or a question as Gentoo's `dokeymap` asks it. It never stops a boot. */
import type { BootPlan } from '../boot/plan.ts'
import { chainOf, hasCode, type Sys } from '../sys/index.ts'
import type { Report } from './story.ts'

/** Where the builder puts them: NAME.bmap, NAME.bmap.gz. */
const directory = '/lib/keymaps'

/** Milliseconds without a key pressed, as Gentoo's initramfs waits. */
const patienceMs = 10_000

const mostTries = 3

export async function loadKeymap(sys: Sys, plan: BootPlan, report: Report): Promise<void> {
  const wanted = plan.keymap
  if (wanted === undefined) return
  const screens = (await sys.consoles.list()).filter(({ screen }) => screen).map(({ device }) => device)
  if (screens.length === 0) {
    report.notice('no keymap is loaded: every console is a serial line, whose terminal has its own')
    return
  }
  const keymaps = await listKeymaps(sys)
  const name = wanted === 'ask' ? await askForKeymap(sys, screens, keymaps, report) : wanted
  if (name === undefined) return
  const path = keymaps.get(name)
  if (path === undefined) report.warn(`there is no keymap ${name} in this initrd: ${describe(keymaps)}`)
  else await load(sys, name, path, report)
}

/** Paths by name, in order. */
async function listKeymaps(sys: Sys): Promise<ReadonlyMap<string, string>> {
  if ((await sys.files.status(directory)) === undefined) return new Map()
  const keymaps = new Map<string, string>()
  for (const file of await sys.files.list(directory)) {
    const name = /^(.+?)\.bmap(\.gz)?$/.exec(file)?.[1]
    if (name !== undefined) keymaps.set(name, `${directory}/${file}`)
  }
  return keymaps
}

function describe(keymaps: ReadonlyMap<string, string>): string {
  return keymaps.size === 0
    ? 'it has none (diskless build --keymap FILE puts one in)'
    : `it has ${[...keymaps.keys()].join(', ')}`
}

/** Undefined: the kernel's own. */
async function askForKeymap(
  sys: Sys,
  screens: readonly string[],
  keymaps: ReadonlyMap<string, string>,
  report: Report,
): Promise<string | undefined> {
  if (keymaps.size === 0) {
    report.warn(`dokeymap: there is no keymap to choose from in this initrd: ${describe(keymaps)}`)
    return undefined
  }
  const names = [...keymaps.keys()]
  report.notice(`keymaps: ${names.map((name, index) => `${index + 1} ${name}`).join('  ')}`)
  const prompt = 'keymap (number or name; none: the default): '
  const stay = (why: string) => report.notice(`${why}: the default keymap stays`)
  for (let attempt = 1; attempt <= mostTries; attempt++) {
    const answer = await ask(sys, screens, prompt, report)
    if (answer === undefined || answer === '') {
      stay(answer === undefined ? `nobody chose within ${patienceMs / 1000} s` : 'none was chosen')
      return undefined
    }
    const chosen = /^\d+$/.test(answer) ? names[Number(answer) - 1] : names.find((name) => name === answer)
    if (chosen !== undefined) return chosen
    report.notice(`${answer} is none of them`)
  }
  stay(`no keymap was named in ${mostTries} tries`)
  return undefined
}

async function ask(
  sys: Sys,
  devices: readonly string[],
  prompt: string,
  report: Report,
): Promise<string | undefined> {
  try {
    const question = { devices, prompt, echo: true, timeoutMs: patienceMs }
    return (await sys.consoles.ask(question, report.signal)).trim()
  } catch (error) {
    if (hasCode(error, 'ABORTED')) throw error
    if (hasCode(error, 'TIMEOUT')) return undefined
    report.warn(`the question for a keymap failed: ${chainOf(error).join(': ')}`)
    return ''
  }
}

async function load(sys: Sys, name: string, path: string, report: Report): Promise<void> {
  try {
    await sys.consoles.setKeymap(path)
    report.notice(`the keymap is ${name}`)
  } catch (error) {
    if (hasCode(error, 'ENODEV')) report.notice('no keymap is loaded: this machine has no virtual terminal')
    else report.warn(`the keymap ${name} was not loaded: ${chainOf(error).join(': ')}`)
  }
}
