/** The demo's overlay, as `lbu package` would have written it on a machine with this configuration. */

import { gzipSync } from 'node:zlib'
import { directory, type Entry, file, symlink, withParents, writeTar } from './tar.ts'

/** Of root, on the demo's consoles and over SSH. */
export const password = 'diskless'

/** `password` by crypt(3)'s SHA-512; made with `openssl passwd -6 -salt demodiskless`. */
export const passwordHash =
  '$6$demodiskless$vY2890b4j4QF1InMBY/9fd9hPgosH5uYSyZ4BwhyP.lH1UDcKD0lLSGai7.0.bH0OiGU2dlaev5u0imJBLaqf.'

/** What the demo's machine is to have; alpine-base comes by itself. */
export const world = [
  'beacon',
  'beacon-messages',
  'ca-certificates',
  'openssh-server',
  'passwd',
  'perl-base',
  'tzdata',
]

const runlevels = {
  sysinit: ['devfs', 'dmesg'],
  boot: ['hostname', 'bootmisc', 'syslog'],
  default: ['sshd', 'beacon'],
  shutdown: ['killprocs', 'mount-ro', 'savecache'],
}

export interface OverlayOptions {
  readonly hostname: string
  readonly world: readonly string[]
  readonly runlevels: Readonly<Record<string, readonly string[]>>
  /** More entries, or others in place of ours. */
  readonly entries?: readonly Entry[]
}

export function demoOverlay(): Buffer {
  return makeOverlay({ hostname: 'diskless-demo', world, runlevels })
}

export function makeOverlay(options: OverlayOptions): Buffer {
  const entries = [
    file('etc/hostname', `${options.hostname}\n`),
    file('etc/apk/world', `${options.world.join('\n')}\n`),
    file('etc/network/interfaces', 'auto lo\niface lo inet loopback\n\nauto eth0\niface eth0 inet dhcp\n'),
    {
      ...file(
        'etc/shadow',
        `root:${passwordHash}:20000:0:::::\nbin:!::0:::::\ndaemon:!::0:::::\nnobody:!::0:::::\n`,
        0o640,
      ),
      owner: { user: 'root', group: 'shadow', uid: 0, gid: 42 },
    },
    directory('etc/ssh'),
    file(
      'etc/ssh/sshd_config',
      'PermitRootLogin yes\nUsePAM no\nSubsystem sftp /usr/lib/openssh/sftp-server\n',
    ),
    file('etc/motd', 'This system lives in memory. What is not saved is gone at power-off.\n'),
    ...Object.entries(options.runlevels).flatMap(([runlevel, services]) =>
      services.map((service) => symlink(`etc/runlevels/${runlevel}/${service}`, `/etc/init.d/${service}`)),
    ),
  ]
  const replaced = new Set((options.entries ?? []).map((entry) => entry.path))
  const all = [...entries.filter((entry) => !replaced.has(entry.path)), ...(options.entries ?? [])]
  return gzipSync(writeTar(withParents(all)), { level: 9 })
}
