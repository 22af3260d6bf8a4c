/** A login on every console that the command line names: /etc/inittab and /etc/securetty, as Alpine's init leaves them. */
import type { RamBootPlan } from '../boot/plan.ts'
import type { Sys } from '../sys/index.ts'
import { writeIn } from './in-root.ts'
import { sysroot } from './ram.ts'

export async function addConsoleLogins(
  sys: Sys,
  plan: RamBootPlan,
  hasOverlay: boolean,
): Promise<readonly string[]> {
  const named = [
    ...plan.consoles,
    ...(hasOverlay || !plan.root.autodetectSerial ? [] : await connectedSerialLines(sys)),
  ]
  const active = await Promise.all(['console', ...named].map((name) => activeConsoles(sys, name)))
  const terminals = [...new Set(active.flat())]

  const inittab = await sys.files.resolveIn(sysroot, '/etc/inittab')
  const before = inittab === undefined ? '' : await sys.files.readText(inittab)
  const missing: string[] = []
  for (const terminal of terminals) {
    const configured = before.split('\n').some((line) => line.startsWith(`${terminal}:`))
    if (!configured && (await sys.files.status(`/dev/${terminal}`))?.kind === 'char') missing.push(terminal)
  }
  if (missing.length > 0) {
    const lines = missing.map(
      // A rate of 0 keeps what the kernel has set.
      (terminal) =>
        `# enable login on alternative console\n${terminal}::respawn:/sbin/getty -L 0 ${terminal} vt100\n`,
    )
    const newline = before === '' || before.endsWith('\n') ? '' : '\n'
    await writeIn(sys, sysroot, 'etc/inittab', `${before}${newline}${lines.join('')}`)
  }
  await addSecureTerminals(sys, terminals)
  return terminals
}

/** `console` and `tty0` stand for others: /sys/class/tty/NAME/active lists them. */
async function activeConsoles(sys: Sys, name: string): Promise<readonly string[]> {
  const path = `/sys/class/tty/${name}/active`
  const active = (await sys.files.readTexts([path])).get(path)
  if (active === undefined) return name === 'console' ? [] : [name]
  const named = active
    .trim()
    .split(/\s+/)
    .filter((each) => each !== '' && each !== name)
  return (await Promise.all(named.map((each) => activeConsoles(sys, each)))).flat()
}

/** /proc/tty/driver/serial: a line with CTS or DSR has something at its other end. */
async function connectedSerialLines(sys: Sys): Promise<readonly string[]> {
  const path = '/proc/tty/driver/serial'
  const text = (await sys.files.readTexts([path])).get(path) ?? ''
  return text
    .split('\n')
    .filter((line) => /\b(CTS|DSR)\b/.test(line))
    .flatMap((line) => /^(\d+):/.exec(line)?.[1] ?? [])
    .map((number) => `ttyS${number}`)
}

async function addSecureTerminals(sys: Sys, terminals: readonly string[]): Promise<void> {
  const path = await sys.files.resolveIn(sysroot, '/etc/securetty')
  if (path === undefined) return
  const text = await sys.files.readText(path)
  const known = new Set(text.split('\n'))
  const missing = terminals.filter((terminal) => !known.has(terminal))
  if (missing.length > 0) await sys.files.writeText(path, `${missing.join('\n')}\n`, { append: true })
}
