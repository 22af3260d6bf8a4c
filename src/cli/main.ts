/** The diskless command: finds the subcommand, and says what went wrong in words. */

import { CommandError, errnoOf } from '../../build/error.ts'
import { ownVersion } from '../../build/own-version.ts'
import { closest } from '../boot/closest.ts'
import { chainOf } from '../sys/index.ts'
import { statusOf, Unanswered, UsageError } from './command.ts'
import { commands } from './commands.ts'
import { hasShared, isShared } from './options.ts'
import { plainLines } from './plain-text.ts'

const usage = `diskless: boots Linux machines that have no disk

Usage: diskless COMMAND [OPTIONS]

${Object.entries(commands)
  .map(([name, { about }]) => `  ${name.padEnd(16)} ${about}`)
  .join('\n')}

'diskless COMMAND --help' explains a command, with examples. Every command takes --json and --quiet.
`

async function main(words: readonly string[]): Promise<number> {
  // Before the command as well: `diskless --json publish DIR`.
  const at = words.findIndex((word) => !isShared(word, 'json') && !isShared(word, 'quiet'))
  const [name, ...rest] =
    at <= 0 ? words : [...words.slice(at, at + 1), ...words.slice(0, at), ...words.slice(at + 1)]
  if (name === undefined || at < 0) {
    process.stderr.write(usage)
    return 2
  }
  if (name === '--version') {
    process.stdout.write(`diskless ${ownVersion()}, Node ${process.version}\n`)
    return 0
  }
  if (name === '--help' || name === '-h' || name === 'help') {
    const [about] = rest
    if (about !== undefined && !about.startsWith('-')) return main([about, '--help'])
    process.stdout.write(usage)
    return 0
  }
  const entry = Object.hasOwn(commands, name) ? commands[name] : undefined
  if (entry === undefined) {
    if (name.startsWith('-')) {
      throw new UsageError(`there is no option '${name}'`, "'diskless --help' lists the commands.")
    }
    const near = closest(name, Object.keys(commands))
    throw new UsageError(
      `there is no command '${name}'${near === undefined ? '' : `: did you mean '${near}'?`}`,
      "'diskless --help' lists the commands.",
    )
  }
  const command = await entry.load()
  return command.run(rest)
}

const remedies: Readonly<Record<string, string>> = {
  EACCES: 'This user may not: run it as who may (root?), or change the permissions.',
  EPERM: 'This user may not: run it as who may (root?).',
  EISDIR: 'It is a directory, and a file is wanted.',
  ENOSPC: 'The disk is full: make room, and run it again.',
  EDQUOT: 'The quota of this user is used up: make room, and run it again.',
  EROFS: 'The file system is read-only there: name another place.',
  EMFILE: 'Too many files are open at once: ulimit -n says how many may be.',
}

/** Where nobody knew better: what the kernel’s refusal asks for. */
function remediesOf(error: unknown): readonly string[] {
  for (let each = error; each instanceof Error; each = each.cause) {
    const remedy = remedies[errnoOf(each) ?? '']
    if (remedy !== undefined) return [remedy]
  }
  return []
}

/** What was tried, then why it failed, then what to do; the stack only for who asks. */
function explain(thrown: unknown): number {
  const error = thrown instanceof Unanswered ? thrown.cause : thrown
  const [first = 'unknown error', ...causes] = chainOf(error)
  const given = error instanceof Error && 'advice' in error && Array.isArray(error.advice) ? error.advice : []
  const advice = given.length > 0 ? given : remediesOf(error)
  const lines = [
    `diskless: ${first}`,
    ...causes.map((cause) => `  ${cause.replaceAll('\n', '\n  ')}`),
    ...advice.map((line) => `${line}`),
  ]
  if (process.env.DISKLESS_DEBUG !== undefined && error instanceof Error) lines.push(error.stack ?? '')
  const asJson = hasShared(process.argv.slice(2), 'json')
  const text = asJson ? JSON.stringify({ error: first, causes, advice }) : plainLines(lines.join('\n'))
  process.stderr.write(`${text}\n`)
  return statusOf(thrown)
}

// Who reads no further (`diskless … | head`) ends the command without a word.
process.stdout.on('error', (error) => {
  if (errnoOf(error) === 'EPIPE') process.exit()
  process.exit(explain(new CommandError('the output could not be written', { cause: error })))
})
process.exitCode = await main(process.argv.slice(2)).catch(explain)
