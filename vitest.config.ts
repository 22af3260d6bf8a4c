/** The kinds of tests that run on Node, as vitest projects: `vitest run --project unit`. */

import { defineConfig } from 'vitest/config'
import { BaseSequencer, type TestSpecification } from 'vitest/node'

/** Where nothing is known of earlier runs the largest files come first, and this one, which waits for minutes, came last. */
class LongWaitFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files)
    const waits = ({ moduleId }: TestSpecification) => moduleId.endsWith('/patience.test.ts')
    return [...sorted.filter(waits), ...sorted.filter((file) => !waits(file))]
  }
}

export default defineConfig({
  test: {
    sequence: { sequencer: LongWaitFirst },
    projects: [
      // A busy machine is no reason to fail: what must not take for ever has virtual time, or a deadline of its own.
      {
        test: {
          name: 'unit',
          include: ['test/unit/**/*.test.ts'],
          // Vitest itself leaves a core idle, which is half of two.
          maxWorkers: '100%',
          testTimeout: 60_000,
        },
      },
      { test: { name: 'engine', include: ['test/engine/**/*.test.ts'], testTimeout: 60_000 } },
      {
        test: {
          name: 'e2e',
          include: ['test/e2e/**/*.test.ts'],
          globalSetup: ['test/e2e/setup.ts'],
          // Guests are slow without KVM, and share few cores; half of their time they wait for servers and deadlines.
          maxWorkers: 3,
          testTimeout: 900_000,
          hookTimeout: 900_000,
          // Every wait of a guest has a deadline of its own, and its message says more than a timeout's.
        },
      },
    ],
  },
})
