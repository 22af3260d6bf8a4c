/**
 * `npm run measure:index`: what reading, indexing and solving a repository's index costs, in the host itself, on this
 * machine and without a guest. Without INDEX the index is made from a seed; INDEX=FILE[,FILE] measures others: texts of
 * APKINDEX, or APKINDEX.tar.gz (signed anew).
 *
 *   INDEX=main.txt,community.txt npm run measure:index -- [--packages 20000] [--seed 1] [--rounds 11] [--world 'a b'] [--json]
 */

import { mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { gunzipSync } from 'node:zlib'
import { joinBundle } from '../build/host.ts'
import { buildHost, bundleInit } from '../build/index.ts'
import { syntheticIndex, world } from './measure-index/synthetic.ts'
import { projectRoot, run } from './processes.ts'
import { generateKey, loadKey, signed, unsignedIndex } from './repository/apk.ts'

interface Measured {
  readonly [name: string]: number
}

const { values } = parseArgs({
  options: {
    packages: { type: 'string', default: '20000' },
    seed: { type: 'string', default: '1' },
    rounds: { type: 'string', default: '11' },
    world: { type: 'string', default: world.join(' ') },
    /** The last round as it came, with what was selected. */
    json: { type: 'boolean', default: false },
  },
})

const directory = join(projectRoot, 'out/measure-index')
rmSync(directory, { recursive: true, force: true })
mkdirSync(directory, { recursive: true })
const key = loadKey('measure.rsa.pub', generateKey())
writeFileSync(join(directory, key.name), key.publicPem)
const repositories = process.env.INDEX?.split(',').map(readIndex) ?? [
  syntheticIndex(Number(values.packages), Number(values.seed)),
]
const request = {
  repositories: repositories.map(writeRepository),
  world: values.world.split(/\s+/),
  keys: { [key.name]: join(directory, key.name) },
}
writeFileSync(join(directory, 'request.json'), JSON.stringify(request))

const host = await buildHost('release', console.error)
const bundle = await bundleInit(directory, 'scripts/measure-index/in-engine.ts')
const program = await joinBundle(host, bundle, directory)
const rounds: Measured[] = []
for (let round = 0; round < Number(values.rounds); round++) rounds.push(await measure(program))

console.log(`the host: ${statSync(host).size} bytes; world: ${values.world}`)
console.log('| | median | mean | least | most |\n|---|---|---|---|---|')
for (const [name, sample] of Object.entries(rounds[0] ?? {})) {
  if (typeof sample !== 'number') continue
  const all = rounds.map((each) => each[name] ?? Number.NaN).sort((a, b) => a - b)
  const mean = all.reduce((sum, each) => sum + each, 0) / all.length
  const shown = [all[all.length >> 1], mean, all[0], all.at(-1)].map((n) => Number(n?.toFixed(2)))
  console.log(`| ${name} | ${shown.join(' | ')} |`)
}
if (values.json) console.log(JSON.stringify(rounds.at(-1)))

function readIndex(path: string): string {
  if (!path.endsWith('.gz')) return readFileSync(path, 'utf8')
  const text = gunzipSync(readFileSync(path)).toString('utf8')
  return text.slice(text.search(/^C:/m)).replace(/\0+$/, '')
}

function writeRepository(text: string, number: number): string {
  const repository = join(directory, `repository${number}`)
  mkdirSync(join(repository, 'x86_64'), { recursive: true })
  const index = signed(unsignedIndex(text, 'measured'), key, 'RSA')
  writeFileSync(join(repository, 'x86_64/APKINDEX.tar.gz'), index)
  return repository
}

async function measure(program: string): Promise<Measured> {
  const { errors } = await run(program, ['--engine'], { directory })
  const line = errors.split('\n').find((each) => each.startsWith('{'))
  if (line === undefined) throw new Error(`the host said: ${errors}`)
  return JSON.parse(line)
}
