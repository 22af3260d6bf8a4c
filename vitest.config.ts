/** The kinds of tests that run on Node, as vitest projects: `vitest run --project unit`. */

import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    projects: [
      { test: { name: 'unit', include: ['test/unit/**/*.test.ts'] } },
      { test: { name: 'engine', include: ['test/engine/**/*.test.ts'] } },
      {
        test: {
          name: 'e2e',
          include: ['test/e2e/**/*.test.ts'],
          globalSetup: ['test/e2e/setup.ts'],
          // Guests are slow without KVM, and share few cores: two at a time.
          maxWorkers: 2,
          testTimeout: 900_000,
          hookTimeout: 900_000,
          // Every wait of a guest has a deadline of its own, and its message says more than a timeout's.
        },
      },
    ],
  },
})
