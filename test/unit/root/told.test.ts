/** What the new system is told of the network, where it has no word of its own. */
import { expect, test } from 'vitest'
import type { LeasePlan } from '../../../src/boot/lease-plan.ts'
import type { RootPlan } from '../../../src/boot/root-plan.ts'
import { tellNewSystem } from '../../../src/root/told.ts'
import { fakeMachine } from '../../support/machine/index.ts'
import { networkUp } from './support.ts'

const nfs: RootPlan = { kind: 'nfs', share: 'lease', writable: 'overlay', options: [] }
const image: RootPlan = {
  ...{ kind: 'image', fsType: undefined, sha256: undefined, copy: 'auto' },
  image: { kind: 'url', urls: ['http://10.0.2.2/x.squashfs'] },
}
const loopback = 'auto lo\niface lo inet loopback\n\n'

async function told(files: Record<string, string>, root: RootPlan = image, lease: LeasePlan = 'keep') {
  const machine = fakeMachine({ files: { '/sysroot/sbin/ifup': '', ...files } })
  await machine.run(tellNewSystem(machine, root, { ...networkUp(), hostname: 'kiosk7' }, lease))
  const texts = await machine.files.readTexts(['/sysroot/etc/hostname', '/sysroot/etc/network/interfaces'])
  return {
    name: texts.get('/sysroot/etc/hostname'),
    interfaces: texts.get('/sysroot/etc/network/interfaces'),
  }
}

test('its name, and interfaces(5) as setup-interfaces writes it', async () => {
  expect(await told({})).toEqual({
    name: 'kiosk7\n',
    interfaces: `${loopback}auto eth0\niface eth0 inet dhcp\n`,
  })
})

test('Alpine’s own localhost is no name', async () => {
  expect((await told({ '/sysroot/etc/hostname': 'localhost\n' })).name).toBe('kiosk7\n')
})

test('a name below comments is one', async () => {
  const own = '# of this machine\n\nmine\n'
  expect((await told({ '/sysroot/etc/hostname': own })).name).toBe(own)
})

test('what the overlay says stays', async () => {
  const own = { '/sysroot/etc/hostname': 'mine\n', '/sysroot/etc/network/interfaces': 'auto lo\n' }
  expect(await told(own)).toEqual({ name: 'mine\n', interfaces: 'auto lo\n' })
})

test('udhcpc asks for the same address when it is to take over', async () => {
  const { interfaces } = await told({}, image, 'handoff')
  expect(interfaces).toBe(`${loopback}auto eth0\niface eth0 inet dhcp\n\tudhcpc_opts -r 10.0.2.15\n`)
})

test('a card that carries the root is not configured a second time', async () => {
  expect((await told({}, nfs)).interfaces).toBe(`${loopback}iface eth0 inet manual\n`)
})

test('a system without ifupdown gets no file for it, and a disk of its own nothing at all', async () => {
  const machine = fakeMachine({ files: { '/sysroot/etc/motd': '' } })
  await machine.run(tellNewSystem(machine, image, networkUp(), 'keep'))
  expect(await machine.files.resolveIn('/sysroot', '/etc/network/interfaces')).toBeUndefined()
  const disk: RootPlan = {
    ...{ kind: 'disk', fsType: undefined, options: [], waitMs: undefined, overlay: false },
    device: { kind: 'path', path: '/dev/vda' },
  }
  expect(await told({}, disk)).toEqual({ name: undefined, interfaces: undefined })
})
