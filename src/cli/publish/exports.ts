/** A part of /etc/exports (exports(5)): the NFS root, and the published directory as a medium for alpine_dev=nfs:. */

import { origin, type Site } from './site.ts'

export function nfsExports({ directory, network, nfs }: Site): string {
  const clients = network === undefined ? '*' : `${network.subnet}/${network.prefixLength}`
  // Read-only, so that no client can do anything by being root.
  const line = (path: string) => `${escapePath(path)} ${clients}(ro,no_root_squash,no_subtree_check)`
  return [
    `# ${origin}`,
    '# Put these lines into /etc/exports.d/diskless.exports, and run: exportfs -ra',
    ...(nfs === undefined ? [] : ['# The root of the machines.', line(nfs.path)]),
    '# The published directory, for alpine_dev=nfs:SERVER:DIRECTORY.',
    line(directory),
    '',
  ].join('\n')
}

/** exports(5): a character may be written as a backslash and three octal digits. */
function escapePath(path: string): string {
  return path.replace(/[\s"#\\]/g, (character) => `\\${character.charCodeAt(0).toString(8).padStart(3, '0')}`)
}
