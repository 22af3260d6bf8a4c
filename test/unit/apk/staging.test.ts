/** Which packages are on their way at the same time, and what becomes of those that nobody needs. */

import { expect, it } from 'vitest'
import type { SelectedPackage } from '../../../src/apk/select.ts'
import { Staging, type StagingLimits } from '../../../src/apk/staging.ts'
import type { StagedPackage } from '../../../src/sys/index.ts'

function selected(n: number, size: number, installedSize: number): SelectedPackage {
  const name = `p${n}`
  return {
    name,
    version: '1',
    checksum: name,
    stanza: '',
    repositories: [0],
    tag: undefined,
    size,
    installedSize,
  }
}

/** Fetches that end when the test says so. */
function harness(sizes: readonly number[], limits: StagingLimits) {
  const packages = sizes.map((size, n) => selected(n, size, size))
  const begun: string[] = []
  const discarded: number[] = []
  const pending = new Map<string, { resolve(stage: StagedPackage): void; reject(error: Error): void }>()
  const sys = { packages: { discard: async (stage: number) => void discarded.push(stage) } }
  const staging = new Staging(
    sys,
    packages,
    (pkg, { signal }) => {
      begun.push(pkg.name)
      return new Promise<StagedPackage>((resolve, reject) => {
        pending.set(pkg.name, { resolve, reject })
        signal?.addEventListener('abort', () => reject(new Error('aborted')), { once: true })
      })
    },
    { limits, signal: new AbortController().signal, onBytes: () => undefined },
  )
  return {
    staging,
    begun,
    discarded,
    arrive: (n: number) =>
      pending.get(`p${n}`)?.resolve({ id: n, pkginfo: '', scripts: [], files: 0, installedBytes: 0 }),
    fail: (n: number, text: string) => pending.get(`p${n}`)?.reject(new Error(text)),
  }
}

const limits = { parallel: 3, soonest: 1, lookAhead: 10, bytesAhead: 1000 }

it('begins with what comes next, then the biggest, so many at a time', async () => {
  const { staging, begun, arrive } = harness([1, 2, 3, 90, 80, 4], limits)
  const first = staging.take(0)
  expect(begun).toEqual(['p0', 'p3', 'p4'])
  arrive(0)
  expect((await first).id).toBe(0)
  expect(begun.slice(3)).toEqual(['p1'])
})

it('keeps as many as it should of those that come next, and refills with what is due', async () => {
  const { staging, begun, arrive } = harness([1, 2, 3, 90, 80, 4], { ...limits, soonest: 2 })
  const first = staging.take(0)
  expect(begun).toEqual(['p0', 'p1', 'p3'])
  arrive(1)
  await Promise.resolve()
  arrive(0)
  await first
  expect(begun.slice(3)).toEqual(['p2', 'p4'])
})

it('hands over in order, whatever comes first', async () => {
  const { staging, arrive } = harness([1, 1, 1], limits)
  const order: number[] = []
  const all = (async () => {
    for (let n = 0; n < 3; n++) order.push((await staging.take(n)).id)
  })()
  for (const n of [2, 1, 0]) arrive(n)
  await all
  expect(order).toEqual([0, 1, 2])
})

it('stages no more ahead than it may, but always what is next', async () => {
  const { staging, begun, arrive } = harness([2000, 600, 600, 600], limits)
  const first = staging.take(0)
  expect(begun).toEqual(['p0'])
  arrive(0)
  await first
  expect(begun).toEqual(['p0', 'p1'])
})

it('ends the others with the first failure, tells that one, and throws away what had come', async () => {
  const { staging, begun, arrive, fail, discarded } = harness([1, 9, 8, 7, 6], limits)
  const first = staging.take(0)
  arrive(1)
  fail(2, 'the server stopped')
  await expect(first).rejects.toThrow('the server stopped')
  await staging.abandon()
  expect(discarded).toEqual([1])
  expect(begun).not.toContain('p4')
})
