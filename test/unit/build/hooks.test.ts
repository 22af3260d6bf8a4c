import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { CommandError } from '../../../build/error.ts'
import { checkHooks } from '../../../build/hooks/check.ts'
import { findHooks } from '../../../build/hooks/files.ts'
import { build } from '../../../build/index.ts'
import { chainOf } from '../../../src/sys/index.ts'
import { kernelFiles, program, temporaryDirectory, writeFiles } from './synthetic.ts'

const good = `import { defineHook } from 'diskless'
export default defineHook({ async rootBuilt({ write }) { await write('/etc/issue', 'hello') } })
`

/** What a person is told of hooks with these texts, the last of the chain first. */
function refusalOf(texts: Readonly<Record<string, string>>): {
  message: string
  why: string
  advice: string
} {
  const root = temporaryDirectory()
  writeFiles(root, texts)
  try {
    checkHooks(findHooks(Object.keys(texts).map((name) => join(root, name))))
  } catch (error) {
    if (!(error instanceof CommandError)) throw error
    return {
      message: error.message,
      why: chainOf(error).slice(1).join('\n'),
      advice: error.advice.join('\n'),
    }
  }
  throw new Error('it was accepted')
}

describe('hooks', () => {
  it('that do not type-check are refused with file, line and reason, and nothing is written', async () => {
    const bad = `${good.split('\n')[0]}
export default defineHook({
  async rootBuilt({ write }) {
    await write('/etc/issue', 5)
  },
})
`
    const { message, why } = refusalOf({ 'bad.ts': bad })
    expect(message).toBe('the hook bad.ts does not type-check')
    expect(why).toMatch(/bad\.ts:4:31: Argument of type 'number' .*\(TS2345\)/)
    const root = temporaryDirectory()
    writeFiles(root, { ...kernelFiles(), 'good.ts': good, 'bad.ts': bad, keeper: program(1) })
    const hooks = [join(root, 'good.ts'), join(root, 'bad.ts')]
    const out = join(root, 'out')
    await expect(
      build({ kernel: root, modules: [], hooks, out, cache: join(root, 'cache') }),
    ).rejects.toThrow('the hooks do not type-check')
    expect(existsSync(join(out, 'initrd'))).toBe(false)
  })

  it('have neither Node nor a browser, and are told what they have', () => {
    const { why, advice } = refusalOf({
      'node.ts': `import { readFileSync } from 'node:fs'
import { defineHook } from 'diskless'
export default defineHook({ rootBuilt: () => void [readFileSync, process.env, fetch('http://x')] })
`,
    })
    expect(why).toMatch(/node\.ts:1:\d+: Cannot find name 'node:fs'\. \(/)
    expect(why).toMatch(/node\.ts:3:\d+: Cannot find name 'process'\. \(/)
    expect(why).toMatch(/node\.ts:3:\d+: Cannot find name 'fetch'/)
    expect(advice).toContain('no Node, no browser')
  })

  it('that export no hook are refused by name', () => {
    expect(refusalOf({ 'good.ts': good, 'none.ts': 'export const hook = {}\n' }).why).toMatch(
      /^none\.ts: .*no default export.*export default defineHook/,
    )
    expect(refusalOf({ 'odd.ts': 'export default { rootBuild() {} }\n' }).why).toContain('rootBuild')
    expect(refusalOf({ 'misspelt.ts': good.replace('rootBuilt', 'rootBuild') }).why).toContain('rootBuilt')
  })

  it('that are not there, are no TypeScript or are named twice are refused', () => {
    const root = temporaryDirectory()
    writeFiles(root, { 'a.ts': good, 'a.sh': '#!/bin/sh\n' })
    const find =
      (...names: string[]) =>
      () =>
        findHooks(names.map((name) => join(root, name)))
    expect(find('none.ts')).toThrow(/there is no hook .*none\.ts/)
    expect(find('a.sh')).toThrow('does not end in .ts')
    expect(find('a.ts', 'a.ts')).toThrow('the hook a.ts is named twice')
    expect(find('a.ts')).not.toThrow()
  })
})
