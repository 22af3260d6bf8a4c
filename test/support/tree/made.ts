/**
 * Packages made to be difficult: each has what a careless installer gets wrong, and what real packages have too seldom to
 * be found by chance. Their scripts write down what they are run with, so that the trees show it.
 */

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import {
  indexText,
  makePackage,
  type PackageSpec,
  type SigningKey,
  signed,
  unsignedIndex,
} from '../../../scripts/repository/apk.ts'
import { directory, type Entry, file, root, symlink } from '../../../scripts/repository/tar.ts'

const built = 1_700_000_000
const busybox = createRequire(import.meta.url).resolve('busybox-static/bin/busybox')

function spec(name: string, fields: Partial<PackageSpec> = {}): PackageSpec {
  return {
    ...{
      name,
      version: '1-r0',
      arch: 'x86_64',
      description: name,
      url: '',
      license: 'MIT',
      origin: name,
      built,
    },
    ...{ depends: [], provides: [], replaces: [], installIf: [], triggers: [], scripts: {}, entries: [] },
    ...fields,
  }
}

/** Who runs how: arguments, working directory, umask and environment, in /m/log. */
const note = (label: string) =>
  `#!/bin/sh
{ echo "${label}: $0 $#"; for each; do echo "  $each"; done; pwd; umask; /bin/busybox env | /bin/busybox sort; } >> /m/log/${label}
`

const by = (user: string, group: string, uid = 555, gid = 556) => ({ owner: { user, group, uid, gid } })
const hardlink = (path: string, target: string): Entry => ({ ...file(path, ''), kind: 'hardlink', target })
const record = (name: string, value: string) => ({ records: { [`SCHILY.xattr.${name}`]: value } })
/** cap_net_raw=ep, as capabilities(7) keeps it: revision 2, effective. */
const capability = `\u0001\u0000\u0000\u0002\u0000\u0020${'\u0000'.repeat(14)}`

/** Without a base of its own: /bin/sh and /bin/busybox are there. */
const difficult: readonly PackageSpec[] = [
  spec('m-log', { entries: [directory('m/log', 0o1777)], depends: ['/bin/sh'] }),
  spec('m-modes', {
    entries: [
      file('m/modes/suid', 'suid', 0o4755),
      file('m/modes/sgid', 'sgid', 0o2711),
      file('m/modes/all', 'all', 0o7777),
      file('m/modes/none', 'none', 0o000),
      directory('m/modes/sticky', 0o1777),
      directory('m/modes/group', 0o2775),
      directory('m/modes/closed', 0o700),
      file('m/modes/closed/inside', 'x', 0o600),
    ],
  }),
  spec('m-links', {
    entries: [
      file('m/links/one', 'one', 0o4755),
      hardlink('m/links/three', 'm/links/one'),
      hardlink('m/links/two', 'm/links/one'),
      symlink('m/links/dangling', '/nowhere/at/all'),
      symlink('m/links/up', '../modes'),
    ],
  }),
  spec('m-attributes', {
    entries: [
      { ...file('m/attributes/ping', 'ping', 0o755), ...record('security.capability', capability) },
      { ...directory('m/attributes/directory'), ...record('trusted.note', 'of a directory') },
      {
        ...file('m/attributes/owned', 'owned', 0o4750),
        ...by('daemon', 'nobody'),
        records: { 'SCHILY.xattr.security.capability': capability, 'SCHILY.xattr.trusted.note': 'second' },
      },
    ],
  }),
  spec('m-unsupported', {
    entries: [{ ...file('m/attributes/strange', 'strange'), ...record('strange.name', 'x') }],
  }),
  spec('m-nodes', {
    entries: [
      { ...file('m/nodes/null', '', 0o666), kind: 'char', device: [1, 3] },
      { ...file('m/nodes/loop', '', 0o660), kind: 'block', device: [7, 5], ...by('root', 'disk', 0, 6) },
      { ...file('m/nodes/pipe', '', 0o620), kind: 'fifo' },
    ],
  }),
  spec('m-names', {
    entries: [
      file('m/names/mit Leerzeichen und Ümläuten', 'ü'),
      file(`m/names/${'long/'.repeat(30)}${'x'.repeat(200)}`, 'long'),
      symlink('m/names/long link', 'y/'.repeat(100)),
      file('m/names/.keep_m-names', ''),
      file('m/names/.hidden', 'hidden'),
      file('m-at-the-top', 'top'),
      symlink('m-link-at-the-top', 'm-at-the-top'),
    ],
  }),
  spec('m-bare', { unchecked: true, entries: [file('m/bare/one', '1'), symlink('m/bare/two', 'one')] }),
  spec('m-empty', { installedSize: 0, scripts: { 'post-install': note('m-empty') } }),
  spec('m-nothing', {
    replaces: ['m-nobody'],
    replacesPriority: 7,
    scripts: { 'post-install': note('nothing') },
  }),
  ...owners(),
  ...conflicts(),
  ...directories(),
  ...scripted(),
]

/** Names that come to be known while packages are installed. */
function owners(): PackageSpec[] {
  const add =
    '#!/bin/sh\necho "m-late:x:4321:4321:m:/:/bin/false" >> /etc/passwd\necho "m-late:x:4322:" >> /etc/group\n'
  const owned = (name: string, depends: readonly string[]) =>
    spec(name, {
      depends,
      entries: [{ ...file(`m/owners/${name}`, name, 0o640), ...by('m-late', 'm-late') }],
    })
  return [
    owned('m-owner-before', ['/bin/sh']),
    spec('m-owner-users', {
      depends: ['m-owner-before'],
      scripts: { 'pre-install': add },
      entries: [{ ...file('m/owners/own', 'own', 0o6755), ...by('m-late', 'm-late') }],
    }),
    owned('m-owner-after', ['m-owner-users']),
    spec('m-owner-failing', {
      depends: ['m-owner-after'],
      scripts: {
        'post-install': '#!/bin/sh\necho "m-fail:x:4323:4323:m:/:/bin/false" >> /etc/passwd\nexit 7\n',
      },
      entries: [{ ...file('m/owners/failing', 'x'), ...by('m-fail', 'root', 777, 0) }],
    }),
    spec('m-owner-unaware', {
      depends: ['m-owner-failing'],
      entries: [{ ...file('m/owners/unaware', 'x'), ...by('m-fail', 'm-late', 777, 0) }],
    }),
    spec('m-owner-aware', {
      depends: ['m-owner-unaware', 'm-log'],
      scripts: { 'pre-install': note('aware') },
      entries: [{ ...file('m/owners/zz-aware', 'x'), ...by('m-fail', 'm-late', 777, 0) }],
    }),
  ]
}

/** The same path in several packages: conflicts, `replaces` with versions and priorities, a common origin. */
function conflicts(): PackageSpec[] {
  const shares = (name: string, fields: Partial<PackageSpec>, ...more: Entry[]) =>
    spec(name, {
      ...fields,
      entries: [
        file(`m/shared/${(fields.origin ?? name).replace(/-\d.*/, '')}`, name),
        ...more,
        file('m/shared/all', `${name}'s`),
      ],
    })
  return [
    shares('m-conflict-1', {}),
    shares('m-conflict-2', { depends: ['m-conflict-1'] }),
    shares('m-conflict-3', { depends: ['m-conflict-2'], replaces: ['m-conflict-2'] }),
    shares('m-conflict-4', {
      depends: ['m-conflict-3'],
      replaces: ['m-conflict-3', 'm-conflict-5'],
      replacesPriority: 9,
    }),
    // It leaves its file to the one before, as that replaces it with more weight.
    shares('m-conflict-5', { depends: ['m-conflict-4'], replaces: ['m-conflict-4'], replacesPriority: 2 }),
    shares('m-conflict-6', { depends: ['m-conflict-5'], replaces: ['m-conflict-4>2'] }),
    shares('m-conflict-7', { depends: ['m-conflict-6'], replaces: ['m-conflict-6<3', 'm-conflict-4'] }),
    shares('m-origin-1', { origin: 'm-origin', depends: ['m-conflict-7'] }),
    shares('m-origin-2', { origin: 'm-origin', depends: ['m-origin-1'] }),
    spec('m-etc-1', { entries: [file('etc/m/conf', 'first'), file('etc/m/kept', 'first')] }),
    spec('m-etc-2', {
      depends: ['m-etc-1', '/bin/sh'],
      replaces: ['m-etc-1'],
      scripts: { 'pre-install': '#!/bin/sh\necho changed > /etc/m/kept\n' },
      entries: [file('etc/m/conf', 'second'), file('etc/m/kept', 'second')],
    }),
  ]
}

/** One directory, several wishes; and scripts that have their own. */
function directories(): PackageSpec[] {
  const wants = (name: string, mode: number, owner: Pick<Entry, 'owner'>, depends: readonly string[] = []) =>
    spec(name, {
      depends,
      entries: [{ ...directory('m/common', mode), ...owner }, file(`m/common/${name}`, name)],
    })
  const look = (label: string, path: string) =>
    `/bin/busybox stat -c '${label} %a %u:%g' ${path} >> /m/log/stat\n`
  return [
    wants('m-common-1', 0o2775, by('', '', 9, 9)),
    wants('m-common-2', 0o3771, by('', '', 9, 9), ['m-common-1']),
    wants('m-common-3', 0o755, by('', '', 3, 3), ['m-common-2']),
    wants('m-common-4', 0o711, by('', '', 3, 4), ['m-common-3']),
    spec('m-chmod', {
      depends: ['m-common-4', 'm-log', '/bin/sh'],
      entries: [
        { ...directory('m/settled', 0o2770), ...by('', '', 12, 13) },
        { ...directory('m/triggered', 0o750), ...by('', '', 12, 13) },
        file('m/settled/x', 'x'),
      ],
      triggers: ['/m/settled'],
      scripts: {
        'post-install': `#!/bin/sh\n${look('before', '/m/settled')}chmod 777 /m/settled /m/common\nchown 1:1 /m/settled\n`,
        trigger: `#!/bin/sh\n${look('trigger', '/m/settled')}chmod 701 /m/triggered\n`,
      },
    }),
  ]
}

/** How scripts are run, what a failure of one does, and which directories triggers hear of. */
function scripted(): PackageSpec[] {
  const exits = (label: string, how: string) => `${note(label)}echo "${label} says why" >&2\n${how}\n`
  return [
    spec('m-scripts', {
      depends: ['m-log'],
      scripts: {
        'pre-install': note('pre'),
        'post-install': note('post'),
        'pre-upgrade': note('never'),
        'post-upgrade': note('never'),
        'pre-deinstall': note('never'),
        'post-deinstall': note('never'),
      },
    }),
    spec('m-fails-before', {
      depends: ['m-scripts'],
      scripts: { 'pre-install': exits('fails-before', 'exit 3'), 'post-install': note('after-failure') },
      entries: [file('m/fails/before', 'x')],
    }),
    spec('m-fails-after', {
      depends: ['m-fails-before'],
      scripts: { 'post-install': exits('fails-after', 'exit 1') },
      entries: [file('m/fails/after', 'x')],
    }),
    spec('m-killed', {
      depends: ['m-fails-after'],
      scripts: { 'post-install': exits('killed', 'kill -9 $$') },
    }),
    spec('m-no-interpreter', { scripts: { 'post-install': '#!/no/such/interpreter\n' } }),
    spec('m-trigger', {
      depends: ['m-log', 'm-names'],
      triggers: ['/m', '/m/*', '/m/w?tch', '/m/w[^x]tch/*', '/', 'no-slash', '/etc/m'],
      scripts: { trigger: note('trigger') },
    }),
    spec('m-trigger-fails', {
      depends: ['m-trigger'],
      triggers: ['/m/watch/*'],
      scripts: { trigger: exits('trigger-fails', 'exit 5') },
      entries: [directory('m/watch/one'), file('m/watch/two/x', 'x'), file('m/watch/three/deep/x', 'x')],
    }),
    spec('m-trigger-none', {
      depends: ['m-trigger-fails'],
      triggers: ['/m/nowhere'],
      scripts: { trigger: note('none') },
    }),
    spec('m-trigger-without', { triggers: ['/m'], entries: [file('m/watch/without', 'x')] }),
  ]
}

/** A root's least, for worlds without Alpine's packages. */
const base: readonly PackageSpec[] = [
  spec('m-base', {
    // Whose name nobody knows, when it comes.
    depends: ['m-owner-stale'],
    provides: ['/bin/sh'],
    entries: [
      file('bin/busybox', readFileSync(busybox), 0o755),
      ...['sh', 'chmod', 'chown'].map((name) => symlink(`bin/${name}`, 'busybox')),
      file(
        'etc/passwd',
        'root:x:0:0:root:/root:/bin/sh\ndaemon:x:2:2:d:/:/bin/false\nm-stale:x:66:66:s:/:/bin/false\n',
      ),
      file('etc/group', 'root:x:0:\ndisk:x:6:\nnobody:x:65533:\n'),
      { ...file('m/owners/with-base', 'x'), ...by('m-stale', 'nobody') },
    ],
  }),
  spec('m-owner-stale', { entries: [{ ...file('m/owners/stale', 'x'), ...by('m-stale', 'nobody') }] }),
]

/** Of a repository that has a tag. */
const tagged: readonly PackageSpec[] = [
  spec('m-tagged', { depends: ['/bin/sh'], entries: [file('m/tagged/good', 'x')] }),
  spec('m-tagged-fails', {
    depends: ['m-tagged'],
    scripts: { 'post-install': '#!/bin/sh\nexit 1\n' },
    entries: [file('m/tagged/fails', 'x')],
  }),
  spec('m-tagged-empty', { depends: ['m-tagged-fails'] }),
]

export interface MadeSite {
  readonly difficult: string
  readonly base: string
  readonly tagged: string
  /** Names of the packages in `difficult`. */
  readonly names: readonly string[]
}

/** Repositories below `directory`, signed with `key`, whose public half is below `keys`. */
export function makeRepositories(directory: string, key: SigningKey): MadeSite {
  const write = (name: string, specs: readonly PackageSpec[]) => {
    const place = join(directory, name)
    mkdirSync(join(place, 'x86_64'), { recursive: true })
    const packages = specs.map((each) => makePackage(each, key))
    for (const { spec: made, bytes } of packages) {
      writeFileSync(join(place, 'x86_64', `${made.name}-${made.version}.apk`), bytes)
    }
    const index = signed(unsignedIndex(indexText(packages), name), key, 'RSA256')
    writeFileSync(join(place, 'x86_64/APKINDEX.tar.gz'), index)
    return place
  }
  return {
    difficult: write('difficult', difficult),
    base: write('base', base),
    tagged: write('tagged', tagged),
    names: difficult.map(({ name }) => name),
  }
}

/** An overlay that has what packages have, and what stands in their way. */
export function overlayEntries(): Entry[] {
  const conf = 'protected and changed\n'
  return [
    directory('etc', 0o755),
    directory('etc/apk'),
    directory('etc/apk/commit_hooks.d'),
    file('etc/apk/commit_hooks.d/hook', '#!/bin/sh\necho "$@" >> /m/hook\n', 0o755),
    directory('etc/apk/protected_paths.d'),
    file('etc/apk/protected_paths.d/m.list', '# ours\n+m/prot*\n-etc/m\n+m/shared/\n'),
    file('etc/apk/world', 'm-modes\nm-conflict-7\n'),
    directory('etc/m', 0o711),
    file('etc/m/conf', conf, 0o600),
    { ...directory('m', 0o750), owner: { ...root, uid: 5, gid: 5 } },
    directory('m/modes', 0o711),
    file('m/modes/suid', "the overlay's", 0o600),
    file('m/shared/m-conflict', "the overlay's"),
    file('m/shared/m-origin', "the overlay's"),
    // In the way: a directory for a symlink, a file for a directory.
    directory('m/links/dangling/full', 0o755),
    file('m/common', 'a file'),
    file('m/bare/one', "the overlay's"),
  ]
}
