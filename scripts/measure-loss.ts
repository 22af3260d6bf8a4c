/**
 * `npm run measure:loss`: how many boots come up to their overlay (10 KB) over a wire that loses frames, each with a seed of
 * its own, and how long they took. With `--world` they go on to the login of the demo's whole world. Needs root, for the lab:
 * QEMU's own network has a TCP of another age, that repeats nothing sooner than after a second, and no selective
 * acknowledgements.
 *
 *   npm run measure:loss -- [--boots 20] [--first 1] [--loss 0.3] [--world]
 */

import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { build } from '../build/index.ts'
import { Machine, usualMac } from '../src/cli/boot/machine.ts'
import { rough } from '../src/cli/boot/rough-wire.ts'
import { Wire } from '../src/cli/boot/wire.ts'
import { Lab } from '../test/support/lab/index.ts'
import { kernelDirectory } from './kernel.ts'
import { projectRoot } from './processes.ts'
import { makeDemo } from './repository/index.ts'

const deadlineMs = 300_000

const { values } = parseArgs({
  options: {
    boots: { type: 'string', default: '20' },
    /** The first boot's seed. */
    first: { type: 'string', default: '1' },
    loss: { type: 'string', default: '0.3' },
    world: { type: 'boolean', default: false },
  },
})
const out = join(projectRoot, 'out')
const demo = await makeDemo(join(out, 'demo'))
const image = await build({
  kernel: await kernelDirectory(),
  modules: ['virtio', 'common-ethernet'],
  keys: [demo.keys],
  level: 9,
  out: join(out, 'measure-loss'),
})
const lab = await Lab.start({ http: demo.directory })
const server = `http://${Lab.address}`
const sources = [`apkovl=${server}/${usualMac}.apkovl.tar.gz`, `alpine_repo=${server}/apks`]
const append = ['console=ttyS0', 'diskless.idle=0', 'ip=dhcp', ...sources].join(' ')

let up = 0
for (let boot = 0; boot < Number(values.boots); boot++) {
  const seed = Number(values.first) + boot
  const wire = await Wire.lay(rough({ loss: Number(values.loss), seed }), lab)
  const start = { by: 'kernel', kernel: image.image, initrd: image.initrd, append } as const
  const guest = await Machine.start({ start, memoryMb: 1024, cards: [{ kind: 'wire', wire }] })
  try {
    const began = await guest.events.waitFor('phase', { name: 'network', state: 'start' }, deadlineMs)
    const network = await guest.events.waitFor('phase', { name: 'network', state: 'done' }, deadlineMs)
    const wanted = values.world ? guest.events.happened('handoff', deadlineMs) : undefined
    const got =
      (await wanted) ?? (await guest.events.waitFor('phase', { name: 'overlay', state: 'done' }, deadlineMs))
    up += 1
    console.log(
      `seed ${seed}: lease after ${Math.round(network.at - began.at)} ms, ${got.event === 'handoff' ? 'handoff' : 'overlay'} after ${Math.round(got.at - began.at)} ms`,
    )
  } catch (error) {
    console.log(`seed ${seed}: ${error instanceof Error ? error.message : String(error)}`)
  } finally {
    await guest.stop()
    wire.cut()
  }
}
await lab.stop()
console.log(`${up} of ${values.boots} came up with ${Number(values.loss) * 100} % of frames lost`)
process.exitCode = up === Number(values.boots) ? 0 : 1
