/** The options of `diskless publish`: the configuration's keys that are of use on a command line. They win over the file's. */

import { resolve } from 'node:path'
import type { OptionTable, Values } from '../option-table.ts'
import { isNoFile } from './boot-source.ts'

export const publishOptions = {
  config: {
    type: 'string',
    value: 'FILE',
    about: 'the configuration [diskless.config.ts, where it is there]',
  },
  boot: {
    type: 'string',
    value: 'DIR',
    about: 'a directory with vmlinuz and initrd, as diskless build writes it',
  },
  kernel: {
    type: 'string',
    value: 'SOURCE',
    about:
      'builds the initrd as well, of this kernel: as diskless build --kernel (running: this system’s own)',
    complete: 'file',
  },
  modules: { type: 'string', value: 'LIST', about: 'for --kernel: as diskless build --modules' },
  keys: {
    type: 'string',
    multiple: true,
    value: 'PLACE',
    about: 'for --kernel: public keys of repositories, as diskless build --keys',
    complete: 'file',
  },
  append: { type: 'string', value: 'TEXT', about: 'the kernel command line: console=ttyS0 quiet' },
  ip: {
    type: 'string',
    value: 'HOW',
    about:
      'dhcp: init asks for a lease of its own [unless --append has an ip=]; lease: the loader’s address is handed over',
    complete: ['dhcp', 'lease'],
  },
  url: {
    type: 'string',
    value: 'URL',
    about: 'where clients find DIR by HTTP [http:// and the address of --server]',
  },
  server: {
    type: 'string',
    value: 'ADDRESS/LENGTH',
    about: 'this server’s address in the machines’ network, for the files of DHCP servers: 10.0.0.1/24',
  },
  range: {
    type: 'string',
    value: 'FIRST-LAST',
    about: 'addresses that are handed out [the upper half of the network, as far as it is free]',
  },
  router: { type: 'string', value: 'ADDRESS', about: 'the machines’ default route' },
  dns: { type: 'string', multiple: true, value: 'ADDRESS', about: 'a name server for the machines' },
  interface: { type: 'string', value: 'NAME', about: 'this server’s card in the machines’ network' },
  overlay: {
    type: 'string',
    value: 'FILE',
    about: 'an apkovl; with {MAC} in its name one a machine; or a URL',
    complete: 'file',
  },
  repo: {
    type: 'string',
    multiple: true,
    value: 'DIR|URL',
    about: 'a repository of packages, the preferred one first; a directory is published',
    complete: 'directory',
  },
  modloop: {
    type: 'string',
    value: 'FILE|URL',
    about: 'kernel modules for the new system',
    complete: 'file',
  },
  image: { type: 'string', value: 'FILE|URL', about: 'a squashfs or erofs image to boot', complete: 'file' },
  lock: { type: 'string', value: 'FILE', about: 'what diskless lock wrote' },
  'nfs-root': { type: 'string', value: 'DIR', about: 'a directory of this server that is the root by NFS' },
  loaders: {
    type: 'string',
    value: 'LIST',
    about:
      'ipxe, pxelinux, grub: whose files are published, the preferred one first [those that are installed]',
  },
  sign: {
    type: 'string',
    value: 'KEY',
    about: 'the private RSA key, PEM, that signs the manifest',
    complete: 'file',
  },
  'dry-run': { type: 'boolean', about: 'says what would change, and changes nothing' },
  check: { type: 'boolean', about: 'publishes nothing: compares DIR with its manifest' },
  key: { type: 'string', value: 'FILE', about: 'for --check: the public key that must have signed it' },
} as const satisfies OptionTable

export type PublishValues = Values<typeof publishOptions>

/** `flags`: which were used. Paths are then absolute: a configuration's are relative to itself, these to where one is. */
export function mergeFlags(
  config: unknown,
  values: PublishValues,
): { readonly value: unknown; readonly flags: readonly string[] } {
  const given = (entries: Readonly<Record<string, unknown>>) =>
    Object.fromEntries(Object.entries(entries).filter(([, value]) => value !== undefined))
  const top = given({
    boot: path(values.boot),
    commandLine: values.append,
    ip: values.ip,
    url: values.url,
    overlay: place(values.overlay),
    repositories: values.repo?.map(place),
    modloop: place(values.modloop),
    image: place(values.image),
    lock: path(values.lock),
    nfsRoot: values['nfs-root'],
    loaders: values.loaders?.split(','),
    sign: path(values.sign),
  })
  const network = given({
    server: values.server,
    range: values.range?.split('-'),
    router: values.router,
    dns: values.dns,
    interface: values.interface,
  })
  const build = given({
    kernel: values.kernel !== undefined && isNoFile(values.kernel) ? values.kernel : path(values.kernel),
    modules: values.modules?.split(','),
    keys: values.keys?.map(path),
  })
  const flags = [...Object.keys(top), ...Object.keys(network), ...Object.keys(build)]
  if (!isRecord(config)) return { value: config, flags }
  // One of the two ways to an initrd takes the other's place.
  const { boot, build: built, ...rest } = config
  const way =
    top.boot !== undefined
      ? {}
      : build.kernel !== undefined
        ? { build: merge(built, build) }
        : { ...given({ boot }), ...(built === undefined ? {} : { build: merge(built, build) }) }
  return {
    value: {
      ...rest,
      ...way,
      ...top,
      ...(Object.keys(network).length === 0 ? {} : { network: merge(config.network, network) }),
    },
    flags,
  }
}

function merge(below: unknown, above: Readonly<Record<string, unknown>>): unknown {
  return below === undefined ? above : isRecord(below) ? { ...below, ...above } : below
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function path(text: string | undefined): string | undefined {
  return text === undefined ? undefined : resolve(text)
}

function place(text: string | undefined): string | undefined {
  return text === undefined || /^[a-z][a-z\d+.-]*:\/\//i.test(text) ? text : resolve(text)
}
