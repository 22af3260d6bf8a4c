/**
 * The kernel that readers have: Debian's, with the modules of a few groups alone. As Alpine's package linux-lts, as Debian's
 * linux-image-*.deb with an archive for apt, and as the kernel that runs here.
 */

import { execFileSync } from 'node:child_process'
import { copyFileSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { readCatalog } from '../../../build/catalog.ts'
import { findKernel, type Kernel } from '../../../build/kernel.ts'
import { selectModules } from '../../../build/modules.ts'
import { cacheDirectory } from '../../../build/paths.ts'
import { kernelDirectory } from '../../../scripts/kernel.ts'
import type { PackageSpec } from '../../../scripts/repository/apk.ts'
import { file } from '../../../scripts/repository/tar.ts'
import { nameOnly } from './mirror.ts'

export async function findDebianKernel(): Promise<Kernel> {
  return findKernel(await kernelDirectory(), undefined, [], cacheDirectory)
}

/** Below the kernel's modules: the groups' and the tables. */
function moduleFiles(kernel: Kernel, groups: readonly string[]): readonly string[] {
  const { modules } = selectModules(readCatalog(kernel.modules, cacheDirectory), groups)
  return [
    ...modules.map(({ path }) => path),
    ...['modules.builtin', 'modules.builtin.modinfo', 'modules.order'],
  ]
}

/** Laid out as Alpine's linux-lts. */
export function alpineKernel(kernel: Kernel): PackageSpec {
  const paths = moduleFiles(kernel, ['virtio', 'common-ethernet'])
  return nameOnly(
    'linux-lts',
    '9.2-r0',
    [],
    [
      file('boot/vmlinuz-lts', readFileSync(kernel.image)),
      ...paths.map((path) =>
        file(join('lib/modules', kernel.version, path), readFileSync(join(kernel.modules, path))),
      ),
    ],
  )
}

/** Writes linux-image.deb, and apt/: an archive of it and of the metapackage that depends on it, and a list that names that one. */
export function makeDebianArchive(kernel: Kernel, directory: string): void {
  const archive = join(directory, 'apt')
  mkdirSync(archive, { recursive: true })
  const name = `linux-image-${kernel.version}`
  const image = makeDeb(archive, name, '', (tree) => {
    const put = (path: string, from: string) => {
      mkdirSync(dirname(join(tree, path)), { recursive: true })
      copyFileSync(from, join(tree, path))
    }
    put(`boot/vmlinuz-${kernel.version}`, kernel.image)
    for (const path of moduleFiles(kernel, ['virtio', 'common-ethernet', 'nfs']))
      put(join('lib/modules', kernel.version, path), join(kernel.modules, path))
  })
  const meta = makeDeb(archive, 'linux-image-amd64', `Depends: ${name} (= 99)\n`)
  copyFileSync(join(archive, image.file), join(directory, 'linux-image.deb'))
  writeFileSync(join(archive, 'Packages'), [image, meta].map(({ paragraph }) => paragraph).join('\n'))
  writeFileSync(join(directory, 'sources.list'), `deb [trusted=yes] file:${archive} ./\n`)
}

function makeDeb(directory: string, name: string, depends: string, fill?: (tree: string) => void) {
  const tree = join(directory, name)
  const control = `Package: ${name}\nVersion: 99\nArchitecture: amd64\nMaintainer: nobody <nobody@example.org>\n${depends}Description: ${name}\n`
  mkdirSync(join(tree, 'DEBIAN'), { recursive: true })
  writeFileSync(join(tree, 'DEBIAN/control'), control)
  fill?.(tree)
  const deb = `${name}_99_amd64.deb`
  execFileSync('dpkg-deb', ['-Zgzip', '-z1', '--build', tree, join(directory, deb)], { stdio: 'ignore' })
  rmSync(tree, { recursive: true })
  const digest = execFileSync('sha256sum', [deb], { cwd: directory, encoding: 'utf8' }).slice(0, 64)
  const size = readFileSync(join(directory, deb)).length
  return { file: deb, paragraph: `${control}Filename: ./${deb}\nSize: ${size}\nSHA256: ${digest}\n` }
}

/**
 * Commands after which Debian's kernel is what runs in a copy, as uname(1) and Node say it: its own is whatever this machine
 * has, which need not have modules.
 */
export function runsKernel({ version, image, modules }: Kernel, scratch: string): string {
  const preload = join(scratch, 'release.cjs')
  writeFileSync(
    preload,
    `require('node:os').release = () => '${version}'\nrequire('node:module').syncBuiltinESMExports()\n`,
  )
  return `export NODE_OPTIONS='--require ${preload}'
uname() { if [ "$*" = -r ]; then echo ${version}; else command uname "$@"; fi; }
export -f uname
mkdir -p /lib/modules /boot
[ -e /lib/modules/${version} ] || ln -s ${modules} /lib/modules/${version}
[ -e /boot/vmlinuz-${version} ] || cp ${image} /boot/vmlinuz-${version}`
}
