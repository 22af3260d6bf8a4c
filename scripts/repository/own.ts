/**
 * The packages that are no Debian package: the base layout, busybox, init scripts, keys, and one (beacon) that has
 * everything a package can have. In Alpine's manner, so that a world written for Alpine reads the same here.
 */

import { readFileSync } from 'node:fs'
import type { PackageSpec, SigningKey } from './apk.ts'
import * as services from './services.ts'
import { directory, type Entry, file, symlink } from './tar.ts'

/** 2026-01-01: packages of our own have no other date. */
const built = 1767225600

function spec(
  fields: Pick<PackageSpec, 'name' | 'version' | 'description'> & Partial<PackageSpec>,
): PackageSpec {
  const scripted = Object.keys(fields.scripts ?? {}).length > 0
  return {
    arch: 'noarch',
    url: 'https://example.org/diskless',
    license: 'MIT',
    origin: fields.name,
    built,
    provides: [],
    replaces: [],
    installIf: [],
    triggers: [],
    scripts: {},
    entries: [],
    ...fields,
    depends: [...(scripted && fields.name !== 'busybox' ? ['/bin/sh'] : []), ...(fields.depends ?? [])],
  }
}

const shadowed = { user: 'root', group: 'shadow', uid: 0, gid: 42 }

/**
 * @param busybox the program of the npm package busybox-static: unlike Debian's it has adduser, and being linked
 *   statically to musl it starts fast, which counts where every script is emulated.
 * @param versions the apk versions of Debian's packages, by name.
 */
export function ownPackages(
  key: SigningKey,
  busybox: string,
  versions: ReadonlyMap<string, string>,
): PackageSpec[] {
  return [
    spec({
      name: 'alpine-base',
      version: '3.19.1-r0',
      description: 'Meta package for minimal base, under the name that Alpine gives it',
      depends: ['diskless-baselayout', 'busybox', 'openrc', 'libc-bin', 'diskless-keys'],
    }),
    spec({
      name: 'diskless-baselayout',
      version: '1.0-r0',
      description: 'Directories and files that every system has',
      entries: [...baseDirectories(), ...baseFiles(), ...services.base()],
    }),
    spec({
      name: 'diskless-keys',
      version: '1.0-r0',
      description: 'Public key of the demo repository',
      entries: [file(`etc/apk/keys/${key.name}`, key.publicPem)],
    }),
    spec({
      name: 'busybox',
      version: '1.35.0-r0',
      arch: 'x86_64',
      description: 'Size optimized toolbox of many common UNIX utilities',
      url: 'https://busybox.net/',
      license: 'GPL-2.0-only',
      provides: ['/bin/sh', 'cmd:busybox=1.35.0-r0', 'cmd:sh=1.35.0-r0'],
      triggers: ['/bin', '/usr/bin', '/sbin', '/usr/sbin'],
      scripts: {
        'post-install': `#!/bin/busybox sh
# The links are needed by the next package's scripts already.
/bin/busybox mkdir -p /bin /sbin /usr/bin /usr/sbin
exec /bin/busybox --install -s
`,
        trigger: '#!/bin/busybox sh\nexec /bin/busybox --install -s\n',
      },
      entries: [{ ...file('bin/busybox', readFileSync(busybox), 0o755) }, symlink('bin/sh', '/bin/busybox')],
    }),
    spec({
      name: 'openssh-server-openrc',
      version: versions.get('openssh-server') ?? '0',
      description: 'OpenRC service of the SSH server',
      origin: 'openssh',
      installIf: ['openrc', `openssh-server=${versions.get('openssh-server') ?? '0'}`],
      entries: [
        services.sshd(),
        // The overlay brings its own: a package's file must not replace it.
        file('etc/ssh/sshd_config', 'PermitRootLogin no\nUsePAM no\n'),
      ],
    }),
    ...beacon(),
  ]
}

/** A user, files of that user's, set-id, a hard link, every script: what can go wrong in one small package. */
function beacon(): PackageSpec[] {
  const owner = { user: 'beacon', group: 'beacon', uid: 990, gid: 990 }
  return [
    spec({
      name: 'beacon',
      version: '1.2.3_rc4-r5',
      description: 'A service that tells which user it runs as',
      triggers: ['/usr/share/beacon/*'],
      scripts: {
        // Not 990: a file must get its owner by name.
        'pre-install': `#!/bin/sh
addgroup -S -g 451 beacon 2>/dev/null
adduser -S -D -H -h /var/lib/beacon -s /sbin/nologin -G beacon -g beacon -u 451 beacon 2>/dev/null
exit 0
`,
        'post-install': '#!/bin/sh\nid -u beacon > /etc/beacon/uid\nexit 0\n',
        trigger: '#!/bin/sh\nfor dir in "$@"; do echo "$dir"; done >> /var/lib/beacon/triggered\n',
      },
      entries: [
        directory('etc/beacon'),
        file('etc/beacon/beacon.conf', 'message=here\n'),
        { ...directory('var/lib/beacon', 0o2750), owner },
        { ...file('var/lib/beacon/seed', 'seed\n', 0o640), owner },
        { ...file('usr/bin/beacon', '#!/bin/sh\nexec id -un\n', 0o4755), owner },
        { ...file('usr/bin/beacon-once', '', 0o4755), owner, kind: 'hardlink', target: 'usr/bin/beacon' },
        services.beacon(),
      ],
    }),
    spec({
      name: 'beacon-messages',
      version: '1.2.3-r0',
      description: 'Messages for the beacon',
      origin: 'beacon',
      depends: ['beacon>1.2.3_alpha'],
      entries: [file('usr/share/beacon/messages/hello', 'hello\n')],
    }),
  ]
}

function baseDirectories(): Entry[] {
  const usual = (
    'bin dev etc/apk/keys etc/init.d etc/conf.d etc/network etc/profile.d home lib media mnt opt proc run sbin srv sys ' +
    'usr/bin usr/lib usr/local/bin usr/local/lib usr/local/share/ca-certificates usr/sbin usr/share ' +
    'var/cache var/empty var/lib var/log var/spool'
  ).split(' ')
  return [
    ...usual.map((path) => directory(path)),
    directory('root', 0o700),
    directory('tmp', 0o1777),
    directory('var/tmp', 0o1777),
    symlink('var/run', '../run'),
    symlink('var/lock', '../run/lock'),
  ]
}

function baseFiles(): Entry[] {
  return [
    file(
      'etc/passwd',
      'root:x:0:0:root:/root:/bin/sh\nbin:x:1:1:bin:/bin:/sbin/nologin\ndaemon:x:2:2:daemon:/sbin:/sbin/nologin\n' +
        'nobody:x:65534:65534:nobody:/:/sbin/nologin\n',
    ),
    file(
      'etc/group',
      'root:x:0:root\nbin:x:1:bin\ndaemon:x:2:daemon\nsys:x:3:\nadm:x:4:\ntty:x:5:\ndisk:x:6:\nwheel:x:10:root\n' +
        'uucp:x:14:\nutmp:x:406:\nshadow:x:42:\nstaff:x:50:\nnogroup:x:65533:\nnobody:x:65534:\n',
    ),
    {
      ...file('etc/shadow', 'root:*::0:::::\nbin:!::0:::::\ndaemon:!::0:::::\nnobody:!::0:::::\n', 0o640),
      owner: shadowed,
    },
    file('etc/fstab', ''),
    file('etc/hosts', '127.0.0.1\tlocalhost\n::1\tlocalhost\n'),
    file('etc/inittab', inittab),
    file('etc/issue', 'diskless demo, \\m, kernel \\r, \\l\n\n'),
    file('etc/nsswitch.conf', 'passwd: files\ngroup: files\nshadow: files\nhosts: files dns\n'),
    file(
      'etc/os-release',
      'NAME="diskless demo"\nID=diskless-demo\nVERSION_ID=1.0\nPRETTY_NAME="diskless demo"\n',
    ),
    file(
      'etc/pam.d/other',
      'auth required pam_unix.so\naccount required pam_unix.so\npassword required pam_unix.so\nsession required pam_unix.so\n',
    ),
    file(
      'etc/profile',
      'export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\numask 022\n',
    ),
    file('etc/securetty', 'console\ntty1\n'),
    file('etc/shells', '/bin/sh\n/bin/bash\n'),
  ]
}

/** Alpine's, with one virtual terminal; init adds the lines for other consoles. */
const inittab = `# /etc/inittab

::sysinit:/sbin/openrc sysinit
::sysinit:/sbin/openrc boot
::wait:/sbin/openrc default

# Set up a getty
tty1::respawn:/sbin/getty 38400 tty1

# Put a getty on the serial port
#ttyS0::respawn:/sbin/getty -L 115200 ttyS0 vt100

::ctrlaltdel:/sbin/reboot
::shutdown:/sbin/openrc shutdown
`
