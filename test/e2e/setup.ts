/** Once before all e2e tests: the demo repository, the kernel, the initrd. */

import { fileURLToPath } from 'node:url'
import type { TestProject } from 'vitest/node'
import { build } from '../../build/index.ts'
import { kernelDirectory } from '../../scripts/kernel.ts'
import { makeDemo } from '../../scripts/repository/index.ts'
import { installedTree } from '../support/installed.ts'

declare module 'vitest' {
  export interface ProvidedContext {
    readonly image: string
    readonly initrd: string
    /** With the drivers of disks, filesystems and NFS, too. */
    readonly fullInitrd: string
    /** The demo's directory: apks/, keys/, the overlay. */
    readonly demo: string
    /** The demo installed into a directory; empty where these tests do not run as root. */
    readonly installed: string
    /** The private key that the demo's repository is signed with. */
    readonly signingKey: { readonly name: string; readonly pem: string }
  }
}

const out = fileURLToPath(new URL('../../out/', import.meta.url))

export default async function setup(project: TestProject): Promise<void> {
  const demo = await makeDemo(`${out}demo`)
  const kernel = await kernelDirectory()
  const modules = ['virtio', 'common-ethernet', 'vlan-bond']
  const boot = await build({ kernel, modules, keys: [demo.keys], out: `${out}e2e` })
  const full = await build({
    kernel,
    modules: [...modules, 'nfs', 'storage'],
    keys: [demo.keys],
    out: `${out}e2e-full`,
    // Its size is no matter: a tenth of the time that 19 takes.
    level: 9,
  })
  project.provide('image', boot.image)
  project.provide('initrd', boot.initrd)
  project.provide('fullInitrd', full.initrd)
  project.provide('demo', demo.directory)
  // Only root can give files to others.
  project.provide(
    'installed',
    process.getuid?.() === 0 ? installedTree(demo.directory, `${out}installed`) : '',
  )
  project.provide('signingKey', {
    name: demo.key.name,
    pem: demo.key.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  })
}
