/** Hooks in the bundle that ships, in the engine that ships: they run, and what goes wrong in one is told with its line. */

import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, expect, test } from 'vitest'
import { bundleInit } from '../../build/bundle.ts'
import { readPlaces } from '../../build/hooks/bundle.ts'
import { checkHooks } from '../../build/hooks/check.ts'
import { findHooks } from '../../build/hooks/files.ts'
import { placesPath } from '../../src/init/hook-places.ts'
import { startEngine } from '../support/engine/engine.ts'
import { fakeMachine } from '../support/machine/index.ts'
import { networkBoot } from '../support/scenario.ts'

const directory = mkdtempSync(join(tmpdir(), 'diskless-engine-hooks-'))
afterAll(() => rmSync(directory, { recursive: true }))

/** Boots a machine with the hook NAME.ts of these files, until it hands over or opens a shell. Resolves with its console. */
async function bootWith(name: string, texts: Readonly<Record<string, string>>) {
  const place = join(directory, name)
  mkdirSync(place)
  for (const [file, text] of Object.entries(texts)) writeFileSync(join(place, file), text)
  return boot(place, [join(place, `${name}.ts`)])
}

async function boot(place: string, paths: readonly string[]) {
  const hooks = findHooks(paths)
  checkHooks(hooks)
  const bundle = await bundleInit(join(place, 'bundle'), undefined, hooks)
  const options = networkBoot()
  const places = JSON.stringify(readPlaces([bundle]))
  const machine = fakeMachine({
    ...options,
    files: { ...options.files, [placesPath]: places },
    kernel: { ...options.kernel, '/sys/class/dmi/id/product_serial': ' CZC 1234567\n' },
  })
  const engine = await startEngine(readFileSync(bundle, 'utf8'), machine)
  const shell = async () => {
    while (machine.processes.sessions.length === 0) await machine.clock.sleep(100)
  }
  await machine.run(Promise.race([machine.supervisor.ended, shell(), engine.failed]))
  return { machine, console: machine.consoles.text(), log: engine.log }
}

test('the examples run, and leave a machine without their hardware alone', async () => {
  const examples = fileURLToPath(new URL('../../docs/examples/hooks', import.meta.url))
  const place = join(directory, 'examples')
  const paths = ['light.ts', 'wipe.ts', 'name.ts'].map((file) => join(examples, file))
  const { machine, console, log } = await boot(place, paths)
  expect(console).toContain('this is kiosk-czc-1234567')
  expect(await machine.run(machine.supervisor.ended)).toMatchObject({ kind: 'handoff' })
  expect(await machine.files.readText('/sysroot/etc/hostname')).toBe('kiosk-czc-1234567\n')
  expect(log).toEqual([])
})

test('an exception is told with the hook’s file and line, wherever it comes from', async () => {
  const at = (body: string) => `/** Ünïcode — “before” what counts bytes. */
import { defineHook, type Sys } from 'diskless'
import { helper } from './helper.ts'

const odd = '😀😀'

export default defineHook({
  async beforeNetwork({ sys }) {
    await sys.clock.sleep(1)
    ${body}
  },
})

export const unused = (sys: Sys) => helper(odd, sys)
`
  const helper = `export interface Shape {
  readonly size: number
}
export function helper(text: string, _: unknown): number {
  if (text !== '') throw new RangeError(\`\${text} is wrong\`)
  return text.length
}
`
  const cases = [
    ['plain', `throw new TypeError(odd)`, /plain\.ts:10\n/],
    ['called', `helper('x', sys)`, /helper\.ts:5\n/],
    ['refused', `await sys.files.writeText('/none/such', odd)`, /refused\.ts:10\n/],
    ['wrong', `JSON.parse('{')`, /wrong\.ts:10\n/],
  ] as const
  for (const [name, body, place] of cases) {
    const { console } = await bootWith(name, { [`${name}.ts`]: at(body), 'helper.ts': helper })
    expect(console.replaceAll('\r', ''), name).toMatch(place)
    expect(console).toContain(`the hook ${name}.ts failed (before the network) at `)
  }
})

test('one that throws when it is loaded, too', async () => {
  const { console } = await bootWith('top', {
    'top.ts': `import { defineHook } from 'diskless'

const table = new Map([['a', 1]])
if (table.size === 1) throw new Error('at the top')
export default defineHook({})
`,
  })
  expect(console).toContain('the hook top.ts failed (when it was loaded) at top.ts:4')
})

test('one that never lets go of the engine is ended, and the supervisor was told which it is', async () => {
  const place = join(directory, 'spin')
  mkdirSync(place)
  const text = `import { defineHook } from 'diskless'

export default defineHook({
  beforeNetwork() {
    for (;;) {}
  },
})
`
  writeFileSync(join(place, 'spin.ts'), text)
  const hooks = findHooks([join(place, 'spin.ts')])
  const bundle = await bundleInit(join(place, 'bundle'), undefined, hooks)
  const machine = fakeMachine(networkBoot())
  const engine = await startEngine(readFileSync(bundle, 'utf8'), machine)
  await expect(machine.run(Promise.race([machine.supervisor.ended, engine.failed]))).rejects.toThrow(
    /interrupted\s+at beforeNetwork/,
  )
  expect(machine.supervisor.notes).toContain('the hook spin.ts (before the network)')
})
