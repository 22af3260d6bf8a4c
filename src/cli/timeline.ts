/** `diskless timeline`: draws what a boot spent its time on, or compares two. */

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync, statSync } from 'node:fs'
import { basename, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { CommandError } from '../../build/error.ts'
import { writeWhole } from '../../build/write-whole.ts'
import { showDuration } from '../boot/format.ts'
import { UsageError } from './command.ts'
import { defineCommand } from './define.ts'
import { drawBoot, drawTwo, summary, type Titled } from './timeline/draw.ts'
import { criticalPath, noTimeline, readTimeline } from './timeline/read.ts'

const largest = 4 * 2 ** 20

export const timelineCommand = defineCommand({
  name: 'timeline',
  about: 'draws what a boot spent its time on, or two beside each other, as an SVG',
  forms: ['FILE [FILE] [OPTIONS]'],
  positionals: { name: 'FILE', least: 1, most: 2, complete: 'file' },
  options: {
    out: { type: 'string', short: 'o', value: 'FILE', about: 'the picture [the first FILE, with .svg]' },
    open: { type: 'boolean', about: 'shows it in the browser' },
  },
  notes: [
    'FILE is /run/diskless/timeline.json of a system that came up, or what diskless watch --save wrote; - is standard input. The picture can be printed without colours, and its text can be selected.',
  ],
  examples: [
    {
      about: 'of a machine that runs',
      command:
        'ssh root@kiosk-7 cat /run/diskless/timeline.json | diskless timeline - --out kiosk-7.svg --open',
    },
    {
      about: 'what a change of the network brought',
      command: 'diskless timeline before.json after.json --out both.svg',
    },
  ],
  async run({ values, positionals }, output) {
    const boots = positionals.map(read)
    const [first, second] = boots
    if (first === undefined) throw new UsageError('FILE is missing')
    const out = resolve(values.out ?? pictureOf(positionals[0] ?? ''))
    writePicture(out, second === undefined ? drawBoot(first) : drawTwo(first, second))
    output.result({ out, boots: boots.map(asJson) }, () => `${boots.map(describe).join('')}${out}\n`)
    if (values.open) await open(out)
    return 0
  },
})

function pictureOf(file: string): string {
  if (file === '-') throw new UsageError('--out is missing: where is the picture to go?')
  return `${file.replace(/\.json$/, '')}.svg`
}

function read(file: string): Titled {
  const title = file === '-' ? 'standard input' : file
  if (file !== '-') {
    const status = statSync(file, { throwIfNoEntry: false })
    if (status === undefined) throw noTimeline(`${file} is not there`)
    if (!status.isFile() && !status.isFIFO()) throw noTimeline(`${file} is not a file`)
    if (status.size > largest) throw noTimeline(`${file} is too large for a timeline: ${status.size} bytes`)
  }
  const text = readFileSync(file === '-' ? 0 : file, 'utf8')
  return { title: basename(title).replace(/\.json$/, ''), boot: readTimeline(text, title) }
}

/** Whole or not at all; and over nothing but a picture. */
function writePicture(out: string, svg: string): void {
  if (existsSync(out) && !/<svg[\s>]/.test(readFileSync(out, 'utf8').slice(0, 1000))) {
    throw new CommandError(`${out} is there and is no SVG: it is left as it is`, {
      advice: ['--out FILE writes somewhere else.'],
    })
  }
  writeWhole(out, svg)
}

/** What the boot as a whole waited for, in its order. */
function waits({ boot }: Titled) {
  return [...criticalPath(boot)]
    .reverse()
    .map(({ name, start, end, state }) => ({ phase: name, state, start, ms: end - start }))
}

function describe(one: Titled): string {
  const lines = waits(one).map(
    ({ phase, ms, start, state }) =>
      `  ${phase.padEnd(9)} ${showDuration(ms).padStart(9)}  from ${showDuration(start)}${state === 'done' ? '' : `, ${state}`}\n`,
  )
  return `${one.title}: ${summary(one.boot)}; it waited for\n${lines.join('')}`
}

function asJson(one: Titled) {
  const { started, end, attempts, spans, failure } = one.boot
  return { title: one.title, started, end, attempts, failure, waitedFor: waits(one), phases: spans }
}

async function open(file: string): Promise<void> {
  const program = process.platform === 'darwin' ? 'open' : 'xdg-open'
  const child = spawn(program, [pathToFileURL(file).href], { stdio: 'ignore', detached: true })
  try {
    await once(child, 'spawn')
  } catch (cause) {
    throw new CommandError(`${program} could not be started: open ${file} in a browser yourself`, {
      ...{ cause, advice: ['On Debian xdg-open is in the package xdg-utils.'] },
    })
  }
  child.unref()
}
