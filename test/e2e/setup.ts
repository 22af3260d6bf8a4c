/** Once before all e2e tests: the demo repository, the kernel, the initrd. */

import { fileURLToPath } from 'node:url'
import type { TestProject } from 'vitest/node'
import { build } from '../../build/index.ts'
import { kernelDirectory } from '../../scripts/kernel.ts'
import { makeDemo } from '../../scripts/repository/index.ts'

declare module 'vitest' {
  export interface ProvidedContext {
    readonly image: string
    readonly initrd: string
    /** The demo's directory: apks/, keys/, the overlay. */
    readonly demo: string
    /** The private key that the demo's repository is signed with. */
    readonly signingKey: { readonly name: string; readonly pem: string }
  }
}

const out = fileURLToPath(new URL('../../out/', import.meta.url))

export default async function setup(project: TestProject): Promise<void> {
  const demo = await makeDemo(`${out}demo`)
  const boot = await build({
    kernel: await kernelDirectory(),
    modules: ['virtio', 'common-ethernet'],
    keys: [demo.keys],
    out: `${out}e2e`,
  })
  project.provide('image', boot.image)
  project.provide('initrd', boot.initrd)
  project.provide('demo', demo.directory)
  project.provide('signingKey', {
    name: demo.key.name,
    pem: demo.key.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  })
}
