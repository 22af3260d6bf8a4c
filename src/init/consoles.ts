/**
 * The consoles that init talks on: the kernel's own, and the serial lines that the command line names besides. The kernel
 * itself writes on one line of each driver, the first that is named (Documentation/admin-guide/serial-console.rst), and
 * knows nothing of the others: not as consoles, and not their speed.
 */
import { type Console, chainOf, type Sys } from '../sys/index.ts'

/** `named`: the values of console=, with or without what follows their comma. */
export async function findConsoles(sys: Sys, named: readonly string[]): Promise<readonly Console[]> {
  const known = await sys.consoles.list()
  return withLines(known, await linesBeside(known, sys, named))
}

/**
 * The same, at the speeds that console= has (`ttyS1,115200n8`): the kernel sets its own lines' alone. One that refuses is told
 * to `warn`.
 */
export async function openConsoles(
  sys: Sys,
  named: readonly string[],
  warn: (text: string) => void,
): Promise<readonly Console[]> {
  const known = await sys.consoles.list()
  const lines = await linesBeside(known, sys, named)
  for (const [device, options] of lines) {
    const baud = /^\d{1,8}/.exec(options)?.[0]
    if (baud === undefined) continue
    await sys.consoles.setSpeed(device, Number(baud)).catch((error: unknown) => {
      warn(`${device} has not the speed that console= says: ${chainOf(error).join(': ')}`)
    })
  }
  return withLines(known, lines)
}

function withLines(known: readonly Console[], lines: ReadonlyMap<string, string>): readonly Console[] {
  return [...known, ...[...lines.keys()].map((device) => ({ device, screen: false, preferred: false }))]
}

/** Devices and their options. A driver makes nodes for more lines than there are: only those that have hardware. */
async function linesBeside(
  known: readonly Console[],
  sys: Sys,
  named: readonly string[],
): Promise<ReadonlyMap<string, string>> {
  const options = new Map(
    named
      .map((value): [string, string] => {
        const [name = '', ...rest] = value.split(',')
        return [name, rest.join(',')]
      })
      .filter(([name]) => /^\w+$/.test(name) && !known.some(({ device }) => device === `/dev/${name}`)),
  )
  if (options.size === 0) return options
  const typeOf = (name: string) => `/sys/class/tty/${name}/type`
  const types = await sys.files.readTexts([...options.keys()].map(typeOf))
  // PORT_UNKNOWN is 0 (include/uapi/linux/serial_core.h); what is no serial line has no type.
  const isThere = (name: string) => Number(types.get(typeOf(name)) ?? 0) > 0
  return new Map([...options].filter(([name]) => isThere(name)).map(([name, rest]) => [`/dev/${name}`, rest]))
}
