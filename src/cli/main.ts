/** The diskless command: finds the subcommand, and says what went wrong in words. */

import { closest } from '../boot/closest.ts'
import { chainOf } from '../sys/index.ts'
import { buildCommand } from './build.ts'
import { type Command, UsageError } from './command.ts'
import { lockCommand } from './lock.ts'

const commands: Readonly<Record<string, Command>> = {
  build: buildCommand,
  lock: lockCommand,
}

const usage = `diskless: boots Linux machines that have no disk

Usage: diskless COMMAND [OPTIONS]

${Object.entries(commands)
  .map(([name, { about }]) => `  ${name.padEnd(10)} ${about}`)
  .join('\n')}

'diskless COMMAND --help' explains a command.
`

async function main(words: readonly string[]): Promise<number> {
  const [name, ...rest] = words
  if (name === undefined) {
    process.stderr.write(usage)
    return 2
  }
  if (name === '--help' || name === '-h' || name === 'help') {
    process.stdout.write(usage)
    return 0
  }
  const command = Object.hasOwn(commands, name) ? commands[name] : undefined
  if (command === undefined) {
    const near = closest(name, Object.keys(commands))
    throw new UsageError(
      `there is no command '${name}'${near === undefined ? '' : `: did you mean '${near}'?`}`,
      "'diskless --help' lists the commands.",
    )
  }
  if (rest.includes('--help') || rest.includes('-h')) {
    process.stdout.write(command.usage)
    return 0
  }
  return command.run(rest)
}

/** What was tried, then why it failed, then what to do; the stack only for who asks. */
function explain(error: unknown): number {
  const [first = 'unknown error', ...causes] = chainOf(error)
  const lines = [`diskless: ${first}`, ...causes.map((cause) => `  ${cause.replaceAll('\n', '\n  ')}`)]
  if (error instanceof Error && 'advice' in error && Array.isArray(error.advice)) {
    lines.push(...error.advice.map((advice) => `${advice}`))
  }
  if (process.env.DISKLESS_DEBUG !== undefined && error instanceof Error) lines.push(error.stack ?? '')
  process.stderr.write(`${lines.join('\n')}\n`)
  return error instanceof UsageError ? 2 : 1
}

process.exitCode = await main(process.argv.slice(2)).catch(explain)
