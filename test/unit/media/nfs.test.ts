/** What is loaded for a share before anybody can mount it. */
import { expect, it } from 'vitest'
import { parseCommandLine } from '../../../src/boot/command-line.ts'
import { planRoot } from '../../../src/boot/root-plan.ts'
import { readSettings } from '../../../src/boot/settings.ts'
import { prepareNfs } from '../../../src/media/nfs.ts'
import { fakeMachine, type ModuleScript } from '../../support/machine/index.ts'

const all: Readonly<Record<string, ModuleScript>> = {
  nfs: {},
  nfsv3: { dependencies: ['nfs'] },
  nfsv4: { dependencies: ['nfs'] },
}

async function loaded(commandLine: string, modules = all): Promise<readonly string[]> {
  const machine = fakeMachine({ modules })
  const root = planRoot(readSettings(parseCommandLine(commandLine)))
  await machine.run(prepareNfs(machine, root))
  return [...machine.modules.loaded.keys()]
}

it.each([
  ['root=dhcp', ['nfs', 'nfsv4']],
  ['root=nfs:10.0.0.1:/x', ['nfs', 'nfsv4']],
  ['root=nfs:10.0.0.1:/x,vers=3', ['nfs', 'nfsv3']],
  ['root=/dev/nfs nfsroot=10.0.0.1:/x rootflags=nfsvers=3', ['nfs', 'nfsv3']],
  ['ip=dhcp alpine_dev=nfs:10.0.0.1:/x,v4.1', ['nfs', 'nfsv4']],
  ['root=live:nfs:10.0.0.1:/x/image,vers=3', ['nfs', 'nfsv3']],
  ['root=LABEL=system', []],
  ['ip=dhcp alpine_repo=http://a/b', []],
])('%s', async (commandLine, modules) => {
  expect(await loaded(commandLine)).toEqual(modules)
})

it('is no reason to fail: the mount says that there is none', async () => {
  expect(await loaded('root=nfs:10.0.0.1:/x', {})).toEqual([])
})
