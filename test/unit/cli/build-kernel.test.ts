/** Where a kernel comes from: fetched from a repository on loopback, by apt, of this system; verified, and refused. */

import { execFileSync, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { chmodSync, existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { describe, expect, it, onTestFinished } from 'vitest'
import { findKernel } from '../../../build/kernel.ts'
import { indexText, type Package, signed, unsignedIndex } from '../../../scripts/repository/apk.ts'
import { file } from '../../../scripts/repository/tar.ts'
import { fetchDebianKernel } from '../../../src/cli/build/debian-kernel.ts'
import { findKernelSource, runningKernel } from '../../../src/cli/build/kernel-source.ts'
import { key, packageOf, stranger } from '../../support/scenario.ts'
import { ar, kernelImage, kernelModule, tar, temporaryDirectory, version } from '../build/synthetic.ts'

/** As Alpine's linux-virt is laid out. */
const linux = (pkgver: string, kernel = version) =>
  packageOf({
    name: 'linux-virt',
    version: pkgver,
    entries: [
      file('boot/vmlinuz-virt', kernelImage(kernel)),
      file(`lib/modules/${kernel}/kernel/drivers/net/virtio_net.ko`, kernelModule(['name=virtio_net'])),
    ],
  })

const indexOf = (packages: readonly Package[], by = key) =>
  signed(unsignedIndex(indexText(packages), 'test'), by, 'RSA256')

/** A mirror with these files; what it was asked for. */
async function mirror(files: Readonly<Record<string, Buffer>>, below = '/main/x86_64/') {
  const asked: string[] = []
  const server = createServer((request, response) => {
    const name = (request.url ?? '').replace(below, '')
    asked.push(name)
    const bytes = files[name]
    response.writeHead(bytes === undefined ? 404 : 200).end(bytes)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => void server.close())
  const { port } = server.address() as AddressInfo
  return { url: `http://127.0.0.1:${port}/${below.split('/')[1]}`, asked }
}

function workplace() {
  const root = temporaryDirectory()
  mkdirSync(join(root, 'keys'))
  writeFileSync(join(root, 'keys', key.name), key.publicPem)
  const told: string[] = []
  const find = (source: string, keys = [join(root, 'keys')]) =>
    findKernelSource({ source, keys, cache: join(root, 'cache'), tell: (line) => void told.push(line) })
  return { root, told, find }
}

const [old, recent] = [linux('6.6.4-r0'), linux('6.6.14-r0')]
const served = (...packages: readonly Package[]) => ({
  'APKINDEX.tar.gz': indexOf(packages),
  ...Object.fromEntries(packages.map((pkg) => [`${pkg.spec.name}-${pkg.spec.version}.apk`, pkg.bytes])),
})

describe('a kernel of Alpine’s', () => {
  it('is the newest of its name, verified, kept, and what the builder reads', async () => {
    const { url, asked } = await mirror(served(recent, old))
    const { find, root, told } = workplace()
    const path = await find(`alpine:linux-virt@${url}`)
    expect(told.join()).toMatch(/Fetching linux-virt-6\.6\.14-r0 \(\d\.\d MB\)/)
    const kernel = await findKernel(path, undefined, [], join(root, 'cache'))
    expect(kernel.version).toBe(version)
    expect(await find(`alpine:linux-virt@${url}`)).toBe(path)
    expect(asked).toEqual(['APKINDEX.tar.gz', 'linux-virt-6.6.14-r0.apk', 'APKINDEX.tar.gz'])
  })

  it('comes from a directory, too, and from the second mirror when the first is gone', async () => {
    const { find, root } = workplace()
    const directory = join(root, 'main')
    mkdirSync(join(directory, 'x86_64'), { recursive: true })
    for (const [name, bytes] of Object.entries(served(recent))) {
      writeFileSync(join(directory, 'x86_64', name), bytes)
    }
    expect(await find(`alpine:linux-virt@${directory}`)).toMatch(/linux-virt-6\.6\.14-r0\.[\da-f]{40}\.apk$/)
    const { url } = await mirror(served(recent))
    expect(await find(`alpine:linux-virt@http://127.0.0.1:1/main|${url}`)).toContain('6.6.14')
  })

  it('is refused where nobody trusted signed it, with what to do, and nothing is kept', async () => {
    const { find, root } = workplace()
    const files = served(recent)
    const plain = unsignedIndex(indexText([recent]), 'test')
    const unsigned = await mirror({ ...files, 'APKINDEX.tar.gz': plain })
    await expect(find(`alpine:linux-virt@${unsigned.url}`)).rejects.toMatchObject({
      message: expect.stringMatching(/the index of http.* is not signed/),
      advice: [expect.stringContaining('abuild-sign')],
    })
    const foreign = await mirror({ ...files, 'APKINDEX.tar.gz': indexOf([recent], stranger) })
    await expect(find(`alpine:linux-virt@${foreign.url}`)).rejects.toThrow(
      /signed with stranger.*none of the keys given/,
    )
    const { url } = await mirror(files)
    await expect(find(`alpine:linux-virt@${url}`, [])).rejects.toMatchObject({
      advice: [expect.stringContaining('--keys')],
    })
    expect(existsSync(join(root, 'cache'))).toBe(false)
  })

  it('that is not what the index says is refused: another build, damaged, or changed in the cache', async () => {
    const { find, root } = workplace()
    const other = await mirror({
      ...served(recent),
      'linux-virt-6.6.14-r0.apk': linux('6.6.14-r0', '6.1.1').bytes,
    })
    await expect(find(`alpine:linux-virt@${other.url}`)).rejects.toThrow(/is not the package of the index/)
    const cut = await mirror({
      ...served(recent),
      'linux-virt-6.6.14-r0.apk': recent.bytes.subarray(0, -600),
    })
    await expect(find(`alpine:linux-virt@${cut.url}`)).rejects.toThrow(/cut short|damaged/)
    const good = await mirror(served(recent))
    const path = await find(`alpine:linux-virt@${good.url}`)
    writeFileSync(path, linux('6.6.14-r0', '6.1.1').bytes)
    await expect(find(`alpine:linux-virt@${good.url}`)).rejects.toThrow(path)
    expect(readdirSync(join(root, 'cache', 'kernels'))).toHaveLength(1)
  })

  it('of a mistyped name is told what there is', async () => {
    const { url } = await mirror(served(recent))
    const { find } = workplace()
    await expect(find(`alpine:linux-vrit@${url}`)).rejects.toMatchObject({
      message: `${url} has no package linux-vrit`,
      advice: ["Did you mean 'linux-virt'?", 'Its kernels: linux-virt.'],
    })
    await expect(find('alpine:linux-virt')).rejects.toThrow('names no repository')
  })
})

describe('a kernel of Debian’s', () => {
  const control = (text: string) => gzipSync(tar({ './control': text }))
  const deb = (text: string) => ar({ 'debian-binary': Buffer.from('2.0\n'), 'control.tar.gz': control(text) })

  /** Stands for apt-get: hands out these files by name. */
  function apt(debs: Readonly<Record<string, Buffer>>) {
    const root = temporaryDirectory()
    for (const [name, bytes] of Object.entries(debs)) writeFileSync(join(root, `${name}_1_amd64.deb`), bytes)
    const program = join(root, 'apt-get')
    const script = `for name; do :; done\n[ -e "${root}/\${name}_1_amd64.deb" ] || { echo "E: Unable to locate package $name" >&2; exit 100; }\ncp "${root}/\${name}_1_amd64.deb" .\n`
    writeFileSync(program, `#!/bin/sh\n${script}`)
    chmodSync(program, 0o755)
    const cache = join(root, 'cache')
    return { root, fetch: (name: string) => fetchDebianKernel({ name, cache, tell: () => {}, apt: program }) }
  }

  it('is fetched by apt, the kernel that a metapackage depends on', async () => {
    const { fetch, root } = apt({
      'linux-image-amd64': deb(
        'Package: linux-image-amd64\nDepends: linux-image-6.1.0-9-amd64 (= 6.1.27-1)\n',
      ),
      'linux-image-6.1.0-9-amd64': deb('Package: linux-image-6.1.0-9-amd64\nDepends: kmod\n'),
    })
    const path = await fetch('linux-image-amd64')
    expect(path).toBe(join(root, 'cache/kernels/linux-image-6.1.0-9-amd64_1_amd64.deb'))
    expect(await fetch('linux-image-6.1.0-9-amd64')).toBe(path)
  })

  it('that apt does not bring is told in apt’s own words', async () => {
    await expect(apt({}).fetch('linux-image-none')).rejects.toMatchObject({
      message: 'apt did not bring linux-image-none',
      cause: expect.objectContaining({ message: 'E: Unable to locate package linux-image-none' }),
      advice: [expect.stringContaining('apt-get update')],
    })
    const cache = temporaryDirectory()
    const nowhere = { name: 'linux-image-amd64', cache, tell: () => {}, apt: '/none/apt-get' }
    await expect(fetchDebianKernel(nowhere)).rejects.toMatchObject({
      message: 'there is no /none/apt-get here to fetch linux-image-amd64',
    })
  })
})

const withGpg = spawnSync('gpg', ['--version']).status === 0 && spawnSync('gpgv', ['--version']).status === 0

describe.skipIf(!withGpg)(`a kernel of a Debian mirror${withGpg ? '' : ' (needs gpg and gpgv)'}`, () => {
  const sha256 = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex')

  /** An archive with a metapackage and its kernel, signed by a key of its own. */
  function archive(header = '') {
    const root = temporaryDirectory()
    const gpg = (words: string[], input = '') =>
      execFileSync('gpg', ['--homedir', root, '--batch', '--quiet', '--no-tty', ...words], {
        input,
        stdio: ['pipe', 'pipe', 'ignore'],
      })
    onTestFinished(() => void spawnSync('gpgconf', ['--homedir', root, '--kill', 'gpg-agent']))
    chmodSync(root, 0o700)
    gpg(['--passphrase', '', '--quick-generate-key', 'archive@example.org', 'ed25519', 'sign', 'never'])
    const keyring = join(root, 'archive.gpg')
    writeFileSync(keyring, gpg(['--export']))
    const deb = ar({
      'debian-binary': Buffer.from('2.0\n'),
      'data.tar.gz': gzipSync(tar({ 'boot/vmlinuz': 'x' })),
    })
    const paragraph = (name: string, depends: string) =>
      `Package: ${name}\nVersion: 6.1.27-1\nDepends: ${depends}\nFilename: pool/${name}.deb\nSHA256: ${sha256(deb)}\n`
    const list = gzipSync(
      `${paragraph('linux-image-amd64', 'linux-image-6.1.0-9-amd64 (= 6.1.27-1)')}\n${paragraph('linux-image-6.1.0-9-amd64', 'kmod')}`,
    )
    const digest = ` ${sha256(list)} ${list.length} main/binary-amd64/Packages.gz`
    const release = `Origin: Test\n${header}MD5Sum:\n 00 1 main/x\nSHA256:\n${digest}\n`
    const files: Record<string, Buffer> = {
      'dists/test/InRelease': gpg(['--clear-sign'], release),
      'dists/test/main/binary-amd64/Packages.gz': list,
      'pool/linux-image-6.1.0-9-amd64.deb': deb,
    }
    return { files, keyring }
  }

  async function fetchFrom(
    files: Readonly<Record<string, Buffer>>,
    keyring: string,
    name = 'linux-image-amd64',
  ) {
    const { url } = await mirror(files, '/debian/')
    const cache = temporaryDirectory()
    const source = `debian:${name}@${url}/dists/test`
    return findKernelSource({ source, keys: [], keyring, cache, tell: () => {} })
  }

  it('is verified from the signature down to the package', async () => {
    const { files, keyring } = archive()
    expect(await fetchFrom(files, keyring)).toMatch(
      /kernels\/linux-image-6\.1\.0-9-amd64_6\.1\.27-1_amd64\.deb$/,
    )
    await expect(fetchFrom(files, keyring, 'linux-image-amd46')).rejects.toMatchObject({
      advice: ["Did you mean 'linux-image-amd64'?", 'Its kernels: linux-image-amd64.'],
    })
  })

  it('is refused: unsigned, by a stranger, expired, or anything changed', async () => {
    const { files, keyring } = archive()
    const plain = Buffer.from('Origin: Test\nSHA256:\n')
    await expect(fetchFrom({ ...files, 'dists/test/InRelease': plain }, keyring)).rejects.toThrow(
      /is not signed by/,
    )
    await expect(fetchFrom(files, archive().keyring)).rejects.toThrow(/is not signed by a key of/)
    await expect(fetchFrom(files, '/none/keyring.gpg')).rejects.toThrow(
      'there is no keyring /none/keyring.gpg',
    )
    const old = archive('Valid-Until: Sat, 01 Jan 2022 00:00:00 UTC\n')
    await expect(fetchFrom(old.files, old.keyring)).rejects.toThrow(/was valid until 2022-01-01/)
    const list = 'dists/test/main/binary-amd64/Packages.gz'
    await expect(fetchFrom({ ...files, [list]: gzipSync('Package: x\n') }, keyring)).rejects.toThrow(
      /SHA-256 is another/,
    )
    const deb = 'pool/linux-image-6.1.0-9-amd64.deb'
    await expect(fetchFrom({ ...files, [deb]: Buffer.from('!<arch>\n') }, keyring)).rejects.toThrow(
      /SHA-256 is another/,
    )
    await expect(fetchFrom({}, keyring)).rejects.toThrow(/could not be fetched: .*404/)
  })
})

describe('this system’s own kernel', () => {
  it('is named by its version, and what is wrong with it is told', () => {
    const root = temporaryDirectory()
    expect(() => runningKernel('6.1.0-1', root)).toThrow(
      `Linux 6.1.0-1 is running here, and there is no ${root}/6.1.0-1`,
    )
    mkdirSync(join(root, '6.1.0-2/kernel'), { recursive: true })
    expect(() => runningKernel('6.1.0-1', root)).toThrow(
      expect.objectContaining({ advice: [expect.stringContaining(`--kernel ${root}/6.1.0-2`)] }),
    )
    expect(runningKernel('6.1.0-2', root)).toBe(`${root}/6.1.0-2`)
  })
})
