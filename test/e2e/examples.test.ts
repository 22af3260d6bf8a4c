/**
 * Every example of every command's --help (and so of docs/commands.md and the manual page) is run as it is printed, each in a
 * copy of this machine of its own: test/support/examples has what each needs and what shows that it works. The documents' own
 * commands are in guide.test.ts.
 */

import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, expect, inject, it } from 'vitest'
import { Transcript } from '../../src/cli/boot/transcript.ts'
import { commands } from '../../src/cli/commands.ts'
import { knownCommands } from '../../src/cli/completion/known.ts'
import { machineCopy } from '../support/copy/machine-copy.ts'
import { makeReader } from '../support/copy/reader.ts'
import { functions } from '../support/examples/functions.ts'
import { rehearsalsOf } from '../support/examples/index.ts'
import { makeProps, type Props } from '../support/examples/props.ts'
import type { Rehearsal } from '../support/examples/rehearsal.ts'
import { describeInLab } from '../support/lab/describe.ts'
import type { Service } from '../support/lab/service.ts'
import { patience } from './guest.ts'

const known = await knownCommands(commands)
const scratch = mkdtempSync(join(tmpdir(), 'diskless-examples-'))

/** As a terminal shows it. */
function textOf(file: string): string {
  const transcript = new Transcript()
  transcript.add(readFileSync(file, 'utf8'))
  return transcript.text
}

describeInLab('the examples of --help', () => {
  let props: Props
  let copy: Service | undefined

  beforeAll(async () => {
    const given = { scratch, demo: inject('demo'), signingKey: inject('signingKey') }
    const reader = await makeReader(given)
    const built = { image: inject('image'), initrd: inject('initrd') }
    props = await makeProps(scratch, given.demo, reader, built)
  })
  afterEach(() => copy?.kill())
  afterAll(() => rmSync(scratch, { recursive: true, force: true }))

  /** Its exit status; what it says is `said` in `place`. Rejects where its stage cannot be set, or what comes after fails. */
  async function rehearse(command: string, rehearsal: Rehearsal, place: string): Promise<number> {
    const { before = ':', meanwhile, after = ':' } = rehearsal
    for (const [name, text] of Object.entries({ example: command, after }))
      writeFileSync(join(place, name), `${functions(place)}\nsaid=${place}/said\n${text}\n`)
    writeFileSync(join(place, 'example'), `${command}\n`)
    const example = `bash -euo pipefail ${place}/example`
    const terminal = `script -qefc 'stty cols 120 rows 40; exec ${example}' ${place}/said <> ${place}/keys > /dev/null`
    const script = [
      props.reader.arrives,
      functions(place),
      before,
      `touch ${place}/said; mkfifo ${place}/keys`,
      ...(meanwhile === undefined ? [] : [`(${meanwhile}\n) &`]),
      `echo "--- the example"; set +e`,
      // Not by a pipe: servers that it starts would keep it open.
      rehearsal.terminal ? terminal : `${example} > ${place}/said 2>&1`,
      'echo "--- it ended with $?"',
      `bash -xeuo pipefail ${place}/after && echo "--- that was all" || echo "--- it is not as it should be"`,
      'tail -f /dev/null',
    ].join('\n')
    copy = machineCopy({ name: command, scratch, script })
    await copy.start()
    const [, status] = await copy.says(/^--- it ended with (\d+)$/m, 2 * patience)
    const [, end] = await copy.says(/^--- (that was all|it is not as it should be)$/m, patience)
    expect(end, 'what it promised').toBe('that was all')
    return Number(status)
  }

  for (const { name, description } of known)
    for (const { about, command } of description.examples)
      it(`${about}: ${command}`, async () => {
        const rehearsal = rehearsalsOf(props)[name]?.[about]
        if (rehearsal === undefined)
          throw new Error(
            `no test runs the example '${about}' of diskless ${name}: say in test/support/examples what it needs and what shows that it works`,
          )
        const place = mkdtempSync(join(scratch, 'example-'))
        try {
          expect(await rehearse(command, rehearsal, place)).toBe(rehearsal.status ?? 0)
          for (const pattern of rehearsal.says ?? []) expect(textOf(join(place, 'said'))).toMatch(pattern)
        } catch (error) {
          const said = existsSync(join(place, 'said')) ? textOf(join(place, 'said')) : ''
          console.log(`${copy?.log}\n--- what it said\n${said}`)
          throw error
        }
      })

  it('are all that is rehearsed', () => {
    const examples = known.flatMap(({ name, description }) =>
      description.examples.map(({ about }) => `${name}: ${about}`),
    )
    const rehearsed = Object.entries(rehearsalsOf(props)).flatMap(([name, abouts]) =>
      Object.keys(abouts).map((about) => `${name}: ${about}`),
    )
    expect(rehearsed.filter((each) => !examples.includes(each))).toEqual([])
  })
})
