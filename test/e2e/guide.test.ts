/**
 * The README's and docs/guide/lan.md's commands, from an empty folder: they are run as they stand, in a copy of this machine
 * that is thrown away and in the lab's network; and then a machine is switched on.
 */

import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { afterAll, afterEach, beforeAll, expect, inject, it } from 'vitest'
import { readCatalog } from '../../build/catalog.ts'
import { findKernel } from '../../build/kernel.ts'
import { selectModules } from '../../build/modules.ts'
import { cacheDirectory, packageRoot } from '../../build/paths.ts'
import { kernelDirectory } from '../../scripts/kernel.ts'
import {
  indexText,
  loadKey,
  makePackage,
  type PackageSpec,
  signed,
  unsignedIndex,
} from '../../scripts/repository/apk.ts'
import { file, readTar } from '../../scripts/repository/tar.ts'
import { Machine } from '../../src/cli/boot/machine.ts'
import { describeInLab } from '../support/lab/describe.ts'
import { Lab } from '../support/lab/index.ts'
import { Service } from '../support/lab/service.ts'
import { patience } from './guest.ts'

/** The blocks of sh in a document, with what it leaves to its reader; and the machine here has no screen. */
function commandsOf(document: string): string {
  const blocks = readFileSync(join(packageRoot, document), 'utf8').matchAll(/^```sh\n([\s\S]*?)^```$/gm)
  return [...blocks]
    .map(([, block = '']) => block)
    .filter((block) => !block.startsWith('npm start'))
    .join('\n')
    .replaceAll('192.168.1.2', Lab.address)
    .replaceAll('https://mirror.example', Lab.faulty)
    .replaceAll('--append diskless.modules=keep', "--append 'diskless.modules=keep console=ttyS0'")
}

const scratch = mkdtempSync(join(tmpdir(), 'diskless-guide-'))

/** Packages as the mirror of the guide has them: the demo's, a kernel by Alpine's name, and the name of Alpine's SSH server. */
async function makeMirror(directory: string): Promise<void> {
  const key = loadKey(inject('signingKey').name, inject('signingKey').pem)
  const demo = join(inject('demo'), 'apks/x86_64')
  const own = [await kernelPackage(), nameOnly('openssh', ['openssh-server', 'openssh-server-openrc'])]
  const packages = own.map((spec) => makePackage(spec, key))
  mkdirSync(directory, { recursive: true })
  for (const name of readdirSync(demo))
    if (name.endsWith('.apk')) symlinkSync(join(demo, name), join(directory, name))
  for (const { spec, bytes } of packages)
    writeFileSync(join(directory, `${spec.name}-${spec.version}.apk`), bytes)
  const index = `${demoIndex(demo)}${indexText(packages)}`
  writeFileSync(join(directory, 'APKINDEX.tar.gz'), signed(unsignedIndex(index, 'guide'), key, 'RSA256'))
}

function demoIndex(demo: string): string {
  const [text] = readTar(gunzipSync(readFileSync(join(demo, 'APKINDEX.tar.gz')))).filter(
    ({ path }) => path === 'APKINDEX',
  )
  return text?.content?.toString() ?? ''
}

function nameOnly(
  name: string,
  depends: readonly string[],
  entries: PackageSpec['entries'] = [],
): PackageSpec {
  return {
    ...{
      name,
      version: '9.2-r0',
      arch: 'x86_64',
      description: name,
      url: 'https://example.org',
      license: 'MIT',
    },
    ...{
      origin: name,
      built: 1_700_000_000,
      depends,
      provides: [],
      replaces: [],
      installIf: [],
      triggers: [],
    },
    ...{ scripts: {}, entries },
  }
}

/** Debian's, with the modules that the guide's groups name, laid out as Alpine's linux-lts. */
async function kernelPackage(): Promise<PackageSpec> {
  const kernel = await findKernel(await kernelDirectory(), undefined, [], cacheDirectory)
  const { modules } = selectModules(readCatalog(kernel.modules, cacheDirectory), [
    'virtio',
    'common-ethernet',
  ])
  const tables = ['modules.builtin', 'modules.builtin.modinfo', 'modules.order']
  const paths = [...modules.map(({ path }) => path), ...tables]
  return nameOnly(
    'linux-lts',
    [],
    [
      file('boot/vmlinuz-lts', readFileSync(kernel.image)),
      ...paths.map((path) =>
        file(join('lib/modules', kernel.version, path), readFileSync(join(kernel.modules, path))),
      ),
    ],
  )
}

/** What a reader has before he begins. */
const before = `
export PATH=${scratch}/bin:${dirname(process.execPath)}:$PATH HOME=/root
mkdir -p /etc/apk/keys /root/.ssh /root/guide /srv/www/alpine/v3.19
cp ${inject('demo')}/keys/* /etc/apk/keys/
cp ${inject('demo')}/*.apkovl.tar.gz /srv/www/fleet.apkovl.tar.gz
ln -s ${scratch}/mirror/alpine/v3.22/main /srv/www/alpine/v3.19/main
echo 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGuideGuideGuideGuideGuideGuideGuideGuide me@here' > /root/.ssh/id_ed25519.pub
cd /root/guide
set -euxo pipefail
`

/** Runs a document's commands in the lab: on this machine below a tmpfs, in a mount namespace of its own. */
function follow(document: string, lab: Lab): Service {
  const place = mkdtempSync(join(scratch, 'place-'))
  const root = join(place, 'root')
  const binds = ['/proc', '/sys', '/dev', '/tmp', packageRoot]
  for (const name of ['copy', 'root']) mkdirSync(join(place, name))
  // The servers that it starts live for as long as this shell.
  const end = 'set +x\necho that was all\ntail -f /dev/null\n'
  writeFileSync(join(place, 'commands'), `${before}echo it begins\n${commandsOf(document)}\n${end}`)
  const script = [
    'set -e',
    `mount -t tmpfs tmpfs ${place}/copy`,
    `mkdir ${place}/copy/upper ${place}/copy/work`,
    `mount -t overlay overlay -o lowerdir=/,upperdir=${place}/copy/upper,workdir=${place}/copy/work ${root}`,
    ...binds.map((bind) => `mkdir -p ${root}${bind}; mount --rbind ${bind} ${root}${bind}`),
    `exec chroot ${root} /bin/bash ${place}/commands`,
  ].join('\n')
  return new Service({ name: document, namespace: lab.namespace, script, ready: /^it begins$/m })
}

describeInLab('what the documents say to do', () => {
  let lab: Lab
  let server: Service | undefined
  let guest: Machine | undefined

  beforeAll(async () => {
    await makeMirror(join(scratch, 'mirror/alpine/v3.22/main/x86_64'))
    mkdirSync(join(scratch, 'bin'))
    const npx = `#!/bin/sh\nshift\nexec ${process.execPath} ${packageRoot}/bin/diskless "$@"\n`
    writeFileSync(join(scratch, 'bin/npx'), npx, { mode: 0o755 })
    lab = await Lab.start({ dhcp: false, faulty: join(scratch, 'mirror') })
  })
  afterEach(async () => {
    await guest?.stop()
    await server?.kill()
  })
  afterAll(async () => {
    await lab?.stop()
    rmSync(scratch, { recursive: true, force: true })
  })

  async function followToItsEnd(document: string): Promise<void> {
    server = follow(document, lab)
    await server.start()
    await server.says(/^that was all$/m, 5 * patience)
    console.log(server.log)
  }

  it('in ten minutes ends in a machine on the LAN that one can log into', async () => {
    await followToItsEnd('docs/guide/lan.md')
    guest = await Machine.start({ start: { by: 'network' }, memoryMb: 768, cards: [{ kind: 'tap', lab }] })
    await guest.console.waitFor(/box login: $/, 5 * patience)
    const [, address = ''] = /(10\.77\.0\.\d+)\/24/.exec(guest.console.text) ?? []
    const banner = await lab.run('bash', '-c', `exec 3<>/dev/tcp/${address}/22; head -1 <&3`)
    expect(banner).toMatch(/^SSH-2\.0-OpenSSH/)
  })

  it('in the README works, one after the other', async () => {
    await followToItsEnd('README.md')
    expect(server?.log).toMatch(/fleet\.lock: \d+ packages for x86_64/)
  })
})
