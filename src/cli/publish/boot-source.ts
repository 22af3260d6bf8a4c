/** Where the kernel and the initrd come from: a directory that has them, or a build, as a configuration says it. */

import type { BuildOptions } from '../../../build/index.ts'
import type { At, Fields } from './fields.ts'

export type BootSource =
  | { readonly kind: 'directory'; readonly path: string }
  | {
      readonly kind: 'build'
      /** As `diskless build --kernel` has it. */
      readonly kernel: string
      readonly keyring: string | undefined
      /** A file of modaliases. */
      readonly fromMachine: string | undefined
      readonly options: Omit<BuildOptions, 'kernel' | 'machine' | 'out' | 'tell'>
    }

export function readBoot(top: Fields, at: At): BootSource {
  const build = top.object('build')
  if (build !== undefined && top.has('boot')) top.wrong('boot', 'and build exclude each other')
  if (build === undefined) {
    const why = 'a directory with vmlinuz and initrd, or build: which kernel?'
    return { kind: 'directory', path: at(top.needed('boot', why)) }
  }
  const paths = (key: string) => (build.texts(key) ?? []).map(at)
  const kernel = build.needed('kernel', 'of which kernel is the initrd?')
  const fromMachine = build.text('fromMachine')
  const keyring = build.text('keyring')
  const vmlinuz = build.text('vmlinuz')
  const modloop = build.text('modloop')
  const certificates = build.text('certificates')
  const identity = build.object('clientIdentity')
  const profile = build.choice('profile', ['release', 'dev'])
  const options = {
    modules: build.texts('modules') ?? (fromMachine === undefined ? ['virtio', 'common-ethernet'] : []),
    hooks: paths('hooks'),
    keys: paths('keys'),
    firmware: paths('firmware'),
    overlayKeys: paths('overlayKeys'),
    keymaps: paths('keymaps'),
    modloopSignatures: paths('modloopSignatures'),
    files: build.objects('files').map((file) => {
      const source = at(file.needed('source', 'which file?'))
      const destination = file.needed('destination', 'where in the initrd?')
      file.finish()
      return { source, destination }
    }),
    ...shellOf(build, at),
    ...(profile === undefined ? {} : { profile }),
    ...(vmlinuz === undefined ? {} : { image: at(vmlinuz) }),
    ...(modloop === undefined ? {} : { modloop: at(modloop) }),
    ...(certificates === undefined
      ? {}
      : { certificates: certificates === 'public' ? certificates : at(certificates) }),
    ...(identity === undefined
      ? {}
      : {
          clientIdentity: {
            certificate: at(identity.needed('certificate', 'whose?')),
            key: at(identity.needed('key', 'of which certificate?')),
          },
        }),
  }
  identity?.finish()
  build.finish()
  return {
    kind: 'build',
    kernel: isNoFile(kernel) ? kernel : at(kernel),
    keyring: keyring === undefined ? undefined : at(keyring),
    fromMachine: fromMachine === undefined ? undefined : at(fromMachine),
    options,
  }
}

/** `open`, `none`, or an object with the file of a password. */
function shellOf(build: Fields, at: At): Pick<BuildOptions, 'shell'> {
  if (!build.isObject('shell')) {
    const shell = build.choice('shell', ['open', 'none'])
    return shell === undefined ? {} : { shell }
  }
  const fields = build.object('shell')
  const passwordFile = at(fields?.needed('passwordFile', 'the file whose first line opens the shell') ?? '')
  fields?.finish()
  return { shell: { passwordFile } }
}

/** This system's own kernel, or a package of a repository or a mirror. */
export function isNoFile(kernel: string): boolean {
  return /^running$|^(alpine|debian):/.test(kernel)
}
