/**
 * A program for tests: publishes into a directory, and is killed, as by a power cut, before its step number N.
 *
 *   node publish-killed.ts DIRECTORY N
 */

import { publishInto } from '../../src/cli/publish/directory.ts'
import { second } from './published.ts'

const [directory = '', step = '0'] = process.argv.slice(2)
let steps = 0
await publishInto(directory, second, {
  onStep: () => {
    if (steps++ === Number(step)) process.kill(process.pid, 'SIGKILL')
  },
})
