/** Small packages for tests. */

import { makePackage, type Package, type SigningKey } from '../../scripts/repository/apk.ts'
import { file } from '../../scripts/repository/tar.ts'

/** One with a program of its own name, which says `NAME runs`. */
export function programPackage(name: string, key: SigningKey): Package {
  const entries = [file(`usr/bin/${name}`, `#!/bin/sh\necho ${name} runs\n`, 0o755)]
  const about = { description: name, url: 'https://example.org', license: 'MIT', origin: name, built: 1.7e9 }
  const none = { depends: [], provides: [], replaces: [], installIf: [], triggers: [], scripts: {} }
  return makePackage({ name, version: '1.0-r0', arch: 'x86_64', ...about, ...none, entries }, key)
}
