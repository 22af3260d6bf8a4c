/**
 * What the demo's repository is made of: Debian's packages, by name, and how each becomes an apk. Debian's maintainer
 * scripts do not run (they speak dpkg and debconf); where one is needed, ours stands here instead.
 */

import type { PackageSpec, Script } from './apk.ts'
import { apkVersion, type DebianPackage, type Relation } from './debian.ts'
import { directory, type Entry } from './tar.ts'

interface Recipe {
  readonly scripts?: Readonly<Partial<Record<Script, string>>>
  readonly triggers?: readonly string[]
  /** Beside what Debian says. */
  readonly depends?: readonly string[]
  readonly add?: readonly Entry[]
  /** Paths, or directories of them, that are left out. */
  readonly without?: readonly string[]
}

const plain: Recipe = {}

/** Libraries, an SSH server with what it links to, OpenRC, and a few tools; the demo's world takes most of them. */
export const recipes: Readonly<Record<string, Recipe>> = {
  bash: { add: [directory('root', 0o700)] },
  'ca-certificates': {
    // update-ca-certificates calls openssl for hash links; one bundle is what most programs read.
    without: ['usr/sbin/update-ca-certificates'],
    triggers: ['/usr/share/ca-certificates/*', '/usr/local/share/ca-certificates'],
    scripts: {
      trigger: `#!/bin/sh
# Makes the bundle anew whenever a package has brought or taken a certificate.
for dir in "$@"; do
	find "$dir" -name '*.crt' -type f
done | sort -u | xargs -r cat > /etc/ssl/certs/ca-certificates.crt
`,
    },
  },
  insserv: plain,
  'libaudit-common': plain,
  libaudit1: plain,
  libbsd0: plain,
  'libbz2-1.0': plain,
  'libc-bin': {
    triggers: ['/lib', '/lib/x86_64-linux-gnu', '/usr/lib', '/usr/lib/x86_64-linux-gnu'],
    scripts: { trigger: '#!/bin/sh\nexec /sbin/ldconfig -X\n' },
  },
  libc6: plain,
  'libcap-ng0': plain,
  libcap2: plain,
  'libcbor0.8': plain,
  'libcom-err2': plain,
  libcrypt1: plain,
  'libdb5.3': plain,
  libedit2: plain,
  libeinfo1: plain,
  'libfido2-1': plain,
  'libgcc-s1': plain,
  libgcrypt20: plain,
  'libgpg-error0': plain,
  'libgssapi-krb5-2': plain,
  libk5crypto3: plain,
  libkeyutils1: plain,
  'libkrb5-3': plain,
  libkrb5support0: plain,
  'liblz4-1': plain,
  liblzma5: plain,
  libmd0: plain,
  libnsl2: plain,
  'libpam-modules': plain,
  'libpam-modules-bin': plain,
  libpam0g: plain,
  'libpcre2-8-0': plain,
  librc1: plain,
  libselinux1: plain,
  'libsemanage-common': plain,
  libsemanage2: plain,
  libsepol2: plain,
  libssl3: plain,
  libsystemd0: plain,
  libtinfo6: plain,
  'libtirpc-common': plain,
  libtirpc3: plain,
  libudev1: plain,
  libwrap0: plain,
  libzstd1: plain,
  'ncurses-base': plain,
  openrc: {
    // Its own gettys and cgroups are not for a system whose inittab init writes.
    without: ['etc/init.d/agetty', 'etc/init.d/cgroups', 'etc/init.d/rc', 'etc/init.d/rcS'],
    add: [directory('etc/conf.d')],
  },
  'openssh-client': plain,
  'openssh-server': {
    scripts: {
      'pre-install': `#!/bin/sh
addgroup -S -g 22 sshd 2>/dev/null
adduser -S -D -H -h /run/sshd -s /sbin/nologin -G sshd -g sshd -u 22 sshd 2>/dev/null
exit 0
`,
    },
    without: ['etc/init.d', 'etc/default', 'lib/systemd', 'etc/ufw', 'usr/share/apport'],
  },
  'openssh-sftp-server': plain,
  passwd: plain,
  'perl-base': plain,
  tzdata: plain,
  zlib1g: plain,
}

/** What only Debian's maintainer scripts, or its own tools, need. A dependency on anything else must be met. */
const leftOut = new Set([
  'adduser',
  'awk',
  'base-files',
  'debconf',
  'debianutils',
  'dpkg',
  'gcc-12-base',
  'init-system-helpers',
  'libpam-runtime',
  'lsb-base',
  'openssl',
  'procps',
  'runit-helper',
  'ucf',
])

/** Alpine puts these into packages of their own (-doc, -lang, -bash-completion), which no world here asks for. */
const documentation = [
  'usr/share/bash-completion',
  'usr/share/doc',
  'usr/share/info',
  'usr/share/lintian',
  'usr/share/locale',
  'usr/share/man',
  'usr/share/zsh',
]

/** The apk of each Debian package. `all` answers what a dependency becomes. */
export function specOf(deb: DebianPackage, all: ReadonlyMap<string, DebianPackage>): PackageSpec {
  const recipe = recipes[deb.name] ?? plain
  const without = [...documentation, ...(recipe.without ?? [])]
  const entries = deb.entries.filter(
    (entry) => !without.some((path) => entry.path === path || entry.path.startsWith(`${path}/`)),
  )
  const version = apkVersion(deb.version)
  const scripts = recipe.scripts ?? {}
  return {
    name: deb.name,
    version,
    arch: 'x86_64',
    description: deb.description,
    url: deb.homepage,
    license: 'see Debian',
    origin: deb.source,
    built: deb.entries.reduce((newest, entry) => Math.max(newest, entry.time), 0),
    depends: [
      ...new Set([
        ...(Object.keys(scripts).length > 0 ? ['/bin/sh'] : []),
        ...(recipe.depends ?? []),
        ...deb.depends.flatMap((alternatives) => dependency(deb, alternatives, all)),
      ]),
    ],
    provides: [
      ...deb.libraries.map((library) => `so:${library}=${apkVersion(deb.version).replace(/-r\d+$/, '')}`),
      ...entries
        .filter((entry) => entry.kind !== 'directory' && /^(usr\/)?s?bin\/[^/]+$/.test(entry.path))
        .map((entry) => `cmd:${entry.path.replace(/^.*\//, '')}=${version}`),
    ],
    replaces: [],
    installIf: [],
    triggers: recipe.triggers ?? [],
    scripts,
    entries: [...entries, ...(recipe.add ?? [])],
  }
}

/** On a library: by its first soname, as abuild finds it in the ELF header. On anything else: by name and version. */
function dependency(
  deb: DebianPackage,
  alternatives: readonly Relation[],
  all: ReadonlyMap<string, DebianPackage>,
): string[] {
  for (const { name, operator, version } of alternatives) {
    const target = all.get(name)
    if (target === undefined) continue
    const library = target.libraries[0]
    // Both come from one source: abuild pins those to each other.
    if (target.source === deb.source) return [`${name}=${apkVersion(target.version)}`]
    if (library !== undefined) return [`so:${library}`]
    if (operator === undefined || operator === '<<' || operator === '<=') return [name]
    return [`${name}>=${apkVersion(version).replace(/-r\d+$/, '')}`]
  }
  if (alternatives.some(({ name }) => leftOut.has(name))) return []
  throw new Error(
    `${deb.name} depends on ${alternatives.map(({ name }) => name).join(' or ')}, which the demo lacks`,
  )
}
