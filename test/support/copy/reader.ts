/** What a reader of the documents has before he begins: programs, keys, a kernel, mirrors. Made once a test, in its scratch. */

import { mkdirSync, symlinkSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { loadKey } from '../../../scripts/repository/apk.ts'
import { alpineKernel, findDebianKernel, makeDebianArchive, runsKernel } from './kernel.ts'
import { makeMirror, nameOnly, openssh } from './mirror.ts'
import { makePrograms } from './programs.ts'

export interface Given {
  readonly scratch: string
  /** The demo's directory. */
  readonly demo: string
  readonly signingKey: { readonly name: string; readonly pem: string }
}

export interface Reader {
  /** A directory that a mirror serves: alpine/v3.21 and v3.22. */
  readonly mirror: string
  /** The same repository, and what it was before somebody brought in a newer nginx. */
  readonly main: string
  readonly formerMain: string
  /** Commands of bash after which a copy is his. */
  readonly arrives: string
}

/** Where he is. */
export const desk = '/root/guide'

export async function makeReader({ scratch, demo, signingKey }: Given): Promise<Reader> {
  const key = loadKey(signingKey.name, signingKey.pem)
  const kernel = await findDebianKernel()
  const specs = [openssh, nameOnly('chrony', '4.5-r0'), nameOnly('htop', '3.3-r0')]
  const mirror = join(scratch, 'mirror')
  const main = join(mirror, 'alpine/v3.22/main')
  const formerMain = join(scratch, 'former/main')
  makeMirror(join(main, 'x86_64'), demo, [...specs, alpineKernel(kernel), nameOnly('nginx', '1.26-r1')], key)
  makeMirror(join(formerMain, 'x86_64'), demo, [...specs, nameOnly('nginx', '1.26-r0')], key)
  symlinkSync('v3.22', join(mirror, 'alpine/v3.21'))
  makeDebianArchive(kernel, scratch)
  const programs = makePrograms(join(scratch, 'bin'))
  mkdirSync(join(scratch, 'machines'))
  const arrives = `
export PATH=${programs}:${dirname(process.execPath)}:$PATH:/usr/sbin:/sbin HOME=/root
set -euo pipefail
ip link set lo up
mkdir -p /etc/apk/keys /root/.ssh ${desk}
cp ${demo}/keys/* /etc/apk/keys/
echo 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGuideGuideGuideGuideGuideGuideGuideGuide me@here' > /root/.ssh/id_ed25519.pub
rm -rf /etc/apt/sources.list /etc/apt/sources.list.d/*
cp ${scratch}/sources.list /etc/apt/
apt-get -qq -o APT::Sandbox::User=root update
${runsKernel(kernel, scratch)}
cd ${desk}
`
  return { mirror, main, formerMain, arrives }
}
