/** A modloop of one module, `dummy`, which is in no initrd, and its signature as Alpine makes it. */

import { createSign } from 'node:crypto'
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { findKernel } from '../../build/kernel.ts'
import { cacheDirectory } from '../../build/paths.ts'
import { kernelDirectory } from '../../scripts/kernel.ts'
import { makeFileSystem } from './disks/index.ts'

/** As a modloop has them: by path from `modules/VERSION` on. */
export async function dummyModules() {
  const { version, modules } = await findKernel(await kernelDirectory(), undefined, [], cacheDirectory)
  const driver = 'kernel/drivers/net/dummy.ko'
  const files = {
    [`modules/${version}/${driver}`]: readFileSync(join(modules, driver)),
    [`modules/${version}/modules.dep`]: `${driver}:\n`,
  }
  return { version, files }
}

export function putFiles(directory: string, files: Readonly<Record<string, Buffer | string>>): void {
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(directory, name)), { recursive: true })
    writeFileSync(join(directory, name), content)
  }
}

/** Writes the modloop to `path`. */
export async function makeSmallModloop(path: string): Promise<Buffer> {
  const { files } = await dummyModules()
  copyFileSync(await makeFileSystem({ type: 'squashfs', files }), path)
  return readFileSync(path)
}

/** The path of the signature, beside it: by SHA-1, with the key of a repository. */
export function signModloop(path: string, { name, pem }: { readonly name: string; readonly pem: string }) {
  const signature = join(dirname(path), `${basename(path)}.SIGN.RSA.${name}`)
  writeFileSync(signature, createSign('RSA-SHA1').update(readFileSync(path)).sign(pem))
  return signature
}
