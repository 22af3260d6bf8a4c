/** The bench's arithmetic, and that a run which was cut short goes on. What it measures is real, and not tested here. */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { benchDocument, benchSummary } from '../../../scripts/bench/document.ts'
import { drawResults } from '../../../scripts/bench/picture.ts'
import { readResults, writeResults } from '../../../scripts/bench/results.ts'
import type { Contest, Row } from '../../../scripts/bench/row.ts'
import { runContests } from '../../../scripts/bench/run.ts'
import { least } from '../../../scripts/bench/search.ts'
import { parseSpans } from '../../../scripts/bench/spans.ts'
import { digits, spreadOf } from '../../../scripts/bench/statistics.ts'
import { standings, table } from '../../../scripts/bench/table.ts'

const directory = mkdtempSync(join(tmpdir(), 'diskless-bench-'))
afterAll(() => rmSync(directory, { recursive: true, force: true }))

const row: Row = {
  id: 'race',
  group: 'nfs',
  title: 'A race of <two>',
  unit: 's',
  goals: [{ against: 'floor', atMost: 1.2 }, { atMost: 2 }],
  note: '',
  subjects: [
    {
      name: 'diskless',
      isFloor: false,
      basis: 'a',
      figures: [{ value: 3, parts: { network: 1 } }, { value: 2, parts: { network: 2 } }, { value: 2.4 }],
      failures: [],
    },
    { name: 'floor', isFloor: true, basis: 'b', figures: [{ value: 2 }, { value: 1.9 }], failures: [] },
    { name: 'peer', isFloor: false, basis: 'c', figures: [], failures: ['it panicked\nand more'] },
  ],
}

describe('the bench', () => {
  it('takes medians and ratios of them', () => {
    expect(spreadOf([])).toBeUndefined()
    expect(spreadOf([10, 9, 1])).toEqual({ median: 9, least: 1, most: 10, count: 3 })
    expect(spreadOf([4, 1, 2, 10])?.median).toBe(3)
    expect([112, 24.86, 1.955].map(digits)).toEqual(['112', '24.9', '1.96'])
    expect(standings(row).map(({ ratio }) => ratio?.toFixed(3))).toEqual(['1.000', '1.231', undefined])
  })

  it('says in its table which goal is met, and who failed', () => {
    const text = table([row])
    expect(text).toContain(
      '| **A race of <two>** | diskless | 2.40 s | 2.00 to 3.00 | 3 |  | at most 2.00 s: missed |',
    )
    expect(text).toContain('|  | floor | 1.95 s | 1.90 to 2.00 | 2 | 1.23 times that | at most 1.2: missed |')
    expect(text).toContain('- A race of <two>: peer failed in one round: it panicked\n'.trim())
  })

  it('draws a bar for whoever has figures, and escapes what is text', () => {
    const picture = drawResults({ version: 1, date: '2026-11-21', machine: 'here', rows: [row] })
    expect(picture.match(/<rect x="215"/g)).toHaveLength(2)
    expect(picture).toContain('A race of &lt;two&gt;')
    expect(picture).not.toContain('>peer<')
  })

  it('writes what it reads, and refuses what it did not write', () => {
    const file = join(directory, 'bench.json')
    expect(readResults(file)).toBeUndefined()
    const results = { version: 1, date: '2026-11-21', machine: 'here', rows: [row] } as const
    writeResults(file, results)
    expect(readResults(file)).toEqual(results)
    expect(benchDocument(results)).toContain('| network | 1.50 s |')
    expect(benchSummary(results)).toContain('| **2.40 s** | 1.95 s (0.81) | peer none |')
    writeFileSync(file, '{"version":1,"date":"x","machine":"y","rows":[{"id":"a","group":"other"}]}')
    expect(() => readResults(file)).toThrow(/none of nfs/)
  })

  it('goes on where it ended: each subject in turn, a failure counts, another basis begins anew', async () => {
    const order: string[] = []
    const subject = (name: string, basis: string) => ({
      name,
      basis,
      measure: async (round: number) => {
        order.push(`${name}${round}`)
        if (name === 'b' && round === 1) throw new Error('no')
        return { value: round }
      },
    })
    const contest = (basis: string): Contest => ({
      id: 'x',
      group: 'nfs',
      title: '',
      unit: 's',
      subjects: [subject('a', basis), subject('b', '')],
    })
    let kept: readonly Row[] = []
    const keep = (rows: readonly Row[]) => {
      kept = rows
    }
    const options = { jobs: 1, tell: () => {}, keep }
    await runContests([contest('1')], [row], { ...options, rounds: 2 })
    expect(order.splice(0)).toEqual(['a1', 'b1', 'a2', 'b2'])
    expect(kept.map(({ id }) => id)).toEqual(['race', 'x'])
    await runContests([contest('2')], kept, { ...options, rounds: 3 })
    expect(order).toEqual(['a1', 'a2', 'a3', 'b3'])
    const [a, b] = kept[1]?.subjects ?? []
    expect(a?.figures).toHaveLength(3)
    expect([b?.figures.length, b?.failures]).toEqual([2, ['no']])
  })

  it('measures anew, in turn, whoever runs by this machine’s clock, when one of them is another', async () => {
    const order: string[] = []
    const contest = (basis: string): Contest => ({
      id: 'x',
      group: 'packages',
      title: '',
      unit: 'ms',
      alone: true,
      subjects: ['a', 'b'].map((name) => ({
        name,
        basis: name === 'a' ? basis : '',
        measure: async (round: number) => {
          order.push(`${name}${round}`)
          return { value: round }
        },
      })),
    })
    let kept: readonly Row[] = []
    const keep = (rows: readonly Row[]) => {
      kept = rows
    }
    // Asked for those who are not ours: they are measured in turn with ours or not at all.
    const options = { rounds: 1, jobs: 1, tell: () => {}, keep, plays: (place: number) => place > 0 }
    await runContests([contest('1')], [], options)
    await runContests([contest('1')], kept, options)
    expect(order.splice(0)).toEqual(['a1', 'b1'])
    await runContests([contest('2')], kept, options)
    expect(order).toEqual(['a1', 'b1'])
    await runContests([{ ...contest('3'), alone: false }], kept, options)
    expect(order).toEqual(['a1', 'b1'])
  })

  it('finds the least that is enough wherever it begins to look, in few looks', async () => {
    const sizes = Array.from({ length: 46 }, (_, at) => 48 + at * 16)
    let looks = 0
    const find = (guess: number, wanted: number) => {
      looks = 0
      return least(sizes, guess, async (size) => {
        looks++
        return size >= wanted
      })
    }
    for (const wanted of [1, 48, 49, 96, 112, 256, 500, 768])
      for (const guess of [0, 48, 100, 256, 768, 9999])
        expect(await find(guess, wanted)).toBe(sizes.find((size) => size >= wanted))
    expect(await find(256, 769)).toBeUndefined()
    await find(96, 96)
    expect(looks).toBe(2)
    await find(96, 384)
    expect(looks).toBeLessThan(11)
  })

  it('reads init’s timeline, and knows that peers have none', () => {
    const phases = [
      { name: 'machine', start: 20, end: 30 },
      { name: 'handoff', start: 40 },
    ]
    const text = JSON.stringify({ version: 1, started: 10, script: 15, phases })
    expect(parseSpans(text)).toEqual({
      started: 0.01,
      script: 0.015,
      phases: [
        { name: 'machine', start: 0.02, end: 0.03 },
        { name: 'handoff', start: 0.04, end: 0.04 },
      ],
    })
    expect(parseSpans('\n')).toBeUndefined()
    expect(() => parseSpans('{}')).toThrow(/no timeline/)
  })
})
