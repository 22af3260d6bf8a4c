/**
 * Writes what is said from the code: docs/kernel-parameters.md from the table of parameters; docs/commands.md and the manual
 * page docs/diskless.1 from the commands' descriptions; and from docs/bench.json, the bench's last results, docs/bench.svg, docs/bench.md and a part of the README. And sees that the tests which docs/pains.md
 * names exist, and that docs/guide/messages.md has each message that stops a boot.
 *
 *   node scripts/docs.ts           writes
 *   node scripts/docs.ts --check   fails when a document is not what would be written
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { readOwnJson } from '../build/own-json.ts'
import { type Parameter, parameterRows } from '../src/boot/parameters.ts'
import { commands } from '../src/cli/commands.ts'
import { type Known, knownCommands } from '../src/cli/completion/known.ts'
import { benchDocument, benchSummary } from './bench/document.ts'
import { drawResults } from './bench/picture.ts'
import { readResults } from './bench/results.ts'
import { commandsDocument } from './docs/commands.ts'
import { manualPage } from './docs/manual.ts'
import { checkMessages } from './docs/messages.ts'
import { checkPains } from './pains.ts'

const groups: readonly { readonly title: string; readonly rows: (parameter: Parameter) => boolean }[] = [
  {
    title: 'Obeyed',
    rows: ({ verdict, origin }) => verdict === 'honoured' && origin !== 'diskless',
  },
  { title: 'Ours alone', rows: ({ origin }) => origin === 'diskless' },
  {
    title: 'Left to others',
    rows: ({ verdict }) => typeof verdict === 'object' && 'passed' in verdict,
  },
  {
    title: 'Refused by name',
    rows: ({ verdict }) => typeof verdict === 'object' && 'refused' in verdict,
  },
]

function kernelParameters(): string {
  const lines = [
    '# Kernel parameters',
    '',
    '<!-- Written by scripts/docs.ts from src/boot/parameters.ts: change that. -->',
    '',
    'Words are quoted by the kernel’s own rule: `name="value with spaces"`. Words that are not here are left to the',
    'kernel and to the new system; what looks like a typo of one of these is said on the console.',
    '`NAME` alone means yes and `noNAME` no.',
  ]
  for (const { title, rows } of groups) {
    lines.push('', `## ${title}`, '')
    for (const [, parameter] of parameterRows()) if (rows(parameter)) lines.push(...describe(parameter))
  }
  return `${lines.join('\n').trimEnd()}\n`
}

function describe({ form, meaning, origin, verdict, repeated, ...rest }: Parameter): string[] {
  const facts = [
    origin === 'diskless' ? '' : `From ${origin === 'alpine' ? 'Alpine' : origin}.`,
    rest.default === 'none' ? '' : `Default: ${rest.default}.`,
    repeated ? 'May be given several times.' : '',
    typeof verdict === 'object' && 'passed' in verdict ? `Not read here: ${verdict.passed}.` : '',
    typeof verdict === 'object' && 'refused' in verdict ? `Refused: ${verdict.refused}.` : '',
  ].filter((fact) => fact !== '')
  return [`- **\`${form}\`**  `, `  ${meaning}${facts.length > 0 ? `  \n  ${facts.join(' ')}` : ''}`, '']
}

function benchDocuments(): Readonly<Record<string, string>> {
  const results = readResults(fileURLToPath(new URL('../docs/bench.json', import.meta.url)))
  if (results === undefined) return {}
  const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8')
  const [before = '', after] = readme.split(/(?<=^<!-- bench: .*-->\n)[\s\S]*?(?=^<!-- end of bench -->$)/m)
  if (after === undefined)
    throw new Error('README.md has no place between <!-- bench: … --> and <!-- end of bench -->')
  return {
    'docs/bench.svg': drawResults(results),
    'docs/bench.md': benchDocument(results),
    'README.md': `${before}\n${benchSummary(results)}\n\n${after}`,
  }
}

function commandDocuments(known: readonly Known[]): Readonly<Record<string, string>> {
  const own = readOwnJson<{ version: string }>(fileURLToPath(new URL('../package.json', import.meta.url)))
  return {
    'docs/commands.md': commandsDocument(known),
    'docs/diskless.1': manualPage(known, own?.version ?? ''),
  }
}

const documents = {
  'docs/kernel-parameters.md': kernelParameters(),
  ...commandDocuments(await knownCommands(commands)),
  ...benchDocuments(),
}
const check = process.argv.includes('--check')
let stale = 0
for (const [path, text] of Object.entries(documents)) {
  const url = new URL(`../${path}`, import.meta.url)
  const current = existsSync(url) ? readFileSync(url, 'utf8') : ''
  if (current === text) continue
  if (!check) writeFileSync(url, text)
  else stale++
  console.log(check ? `${path} is stale: run "npm run docs"` : `wrote ${path}`)
}
const rot = [
  ...checkPains().map((line) => `docs/pains.md: ${line}`),
  ...checkMessages().map((line) => `docs/guide/messages.md ${line}`),
]
for (const line of rot) console.log(line)
process.exitCode = stale > 0 || rot.length > 0 ? 1 : 0
