/** A mirror of Alpine's, as readers have it: the demo's packages, a kernel by Alpine's name, and names of what the demo lacks. */

import { mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import {
  indexText,
  makePackage,
  type PackageSpec,
  type SigningKey,
  signed,
  unsignedIndex,
} from '../../../scripts/repository/apk.ts'
import { readTar } from '../../../scripts/repository/tar.ts'

/** A repository with the demo's packages and these. `directory` is its architecture's. */
export function makeMirror(
  directory: string,
  demo: string,
  specs: readonly PackageSpec[],
  key: SigningKey,
): void {
  const apks = join(demo, 'apks/x86_64')
  const packages = specs.map((spec) => makePackage(spec, key))
  mkdirSync(directory, { recursive: true })
  for (const name of readdirSync(apks))
    if (name.endsWith('.apk')) symlinkSync(join(apks, name), join(directory, name))
  for (const { spec, bytes } of packages)
    writeFileSync(join(directory, `${spec.name}-${spec.version}.apk`), bytes)
  const index = `${demoIndex(apks)}${indexText(packages)}`
  writeFileSync(join(directory, 'APKINDEX.tar.gz'), signed(unsignedIndex(index, 'mirror'), key, 'RSA256'))
}

function demoIndex(apks: string): string {
  const [text] = readTar(gunzipSync(readFileSync(join(apks, 'APKINDEX.tar.gz')))).filter(
    ({ path }) => path === 'APKINDEX',
  )
  return text?.content?.toString() ?? ''
}

/** Alpine's name of its SSH server. */
export const openssh = nameOnly('openssh', '9.2-r0', ['openssh-server', 'openssh-server-openrc'])

/** A package that is little more than its name. */
export function nameOnly(
  name: string,
  version: string,
  depends: readonly string[] = [],
  entries: PackageSpec['entries'] = [],
): PackageSpec {
  return {
    ...{ name, version, arch: 'x86_64', description: name, url: 'https://example.org', license: 'MIT' },
    ...{ origin: name, built: 1_700_000_000, depends, provides: [], replaces: [], installIf: [] },
    ...{ triggers: [], scripts: {}, entries },
  }
}
