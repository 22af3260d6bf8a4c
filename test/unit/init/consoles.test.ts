/** Which consoles init talks on: the kernel's, and serial lines that the command line names and the kernel does not write on. */
import { expect, it } from 'vitest'
import { findConsoles, openConsoles } from '../../../src/init/consoles.ts'
import { fakeMachine } from '../../support/machine/index.ts'

const devices = async (machine: ReturnType<typeof fakeMachine>, named: readonly string[]) =>
  (await findConsoles(machine, named)).map(({ device }) => device)

it('are the kernel’s, whether the command line names them or not', async () => {
  const machine = fakeMachine({ lines: ['ttyS1'] })
  expect(await devices(machine, [])).toEqual(['/dev/ttyS0'])
  expect(await devices(machine, ['ttyS0,115200', 'tty0', 'uart8250,io,0x2f8', '../x', ''])).toEqual([
    '/dev/ttyS0',
  ])
})

it('are lines that it names besides, once each, if they have hardware', async () => {
  const machine = fakeMachine({
    lines: ['ttyS1'],
    // As the driver shows a line that is not there.
    kernel: { '/sys/class/tty/ttyS2/type': '0\n' },
  })
  const named = ['ttyS1', 'ttyS0', 'ttyS1,9600', 'ttyS2,115200', 'ttyS3']
  expect(await findConsoles(machine, named)).toEqual([
    { device: '/dev/ttyS0', screen: false, preferred: true },
    { device: '/dev/ttyS1', screen: false, preferred: false },
  ])
})

it('have the speed that it says, the kernel’s own aside', async () => {
  const machine = fakeMachine({ lines: ['ttyS1', 'ttyS2'] })
  const warnings: string[] = []
  const warn = (text: string) => warnings.push(text)
  await openConsoles(machine, ['ttyS0,9600', 'ttyS1,115200n8', 'ttyS2'], warn)
  expect([...machine.consoles.speeds]).toEqual([['/dev/ttyS1', 115_200]])
  machine.faults.order({ operation: 'consoles.setSpeed', code: 'EINVAL' })
  await openConsoles(machine, ['ttyS1,7'], warn)
  expect(warnings).toEqual([expect.stringMatching(/^\/dev\/ttyS1 has not the speed .*Invalid argument/)])
})
