/** diskless.crash=HOW: the ways in which an engine can die, made to happen, so that tests see what a person then sees. */
import type { Sys } from '../sys/index.ts'

export async function crash(sys: Sys, how: string | undefined): Promise<void> {
  switch (how) {
    case 'exception':
      // Thrown where no promise catches it: a job of the engine's own.
      await new Promise(() => {
        sys.clock.sleep(0).then(() => {
          throw new Error('diskless.crash=exception', { cause: new Error('it was asked for') })
        })
      })
      return
    case 'rejection':
      Promise.reject(new Error('diskless.crash=rejection', { cause: new Error('it was asked for') }))
      await new Promise(() => undefined)
      return
    case 'stack':
      recurse(0)
      return
    case 'memory':
      exhaust()
      return
  }
}

function recurse(depth: number): number {
  return recurse(depth + 1) + 1
}

function exhaust(): void {
  const kept: string[] = []
  for (let size = 1 << 20; ; size++) kept.push('x'.repeat(size))
}
