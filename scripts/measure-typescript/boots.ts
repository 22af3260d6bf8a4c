/** The boots that are measured: a root on NFS, and Alpine's way with as many packages as a small system has. */

import { dhcpServer, type MachineOptions } from '../../test/support/machine/index.ts'
import {
  indexUrl,
  makeIndex,
  networkBoot,
  overlay,
  overlayUrl,
  packageOf,
  packages,
  packageUrl,
} from '../../test/support/scenario.ts'
import { file } from '../repository/tar.ts'

export const boots: Readonly<Record<string, () => MachineOptions>> = {
  'a root on NFS': nfsBoot,
  '47 packages': packagesBoot,
}

function nfsBoot(): MachineOptions {
  return networkBoot({
    commandLine: 'console=ttyS0 ip=dhcp root=/dev/nfs nfsroot=10.0.2.2:/srv/root,ro',
    links: [{ name: 'eth0', module: 'virtio_net', carrierAfterMs: 50, dhcp: dhcpServer() }],
    media: {
      '10.0.2.2:/srv/root': {
        type: 'nfs',
        readOnly: true,
        files: {
          '/sbin/init': { content: 'init', mode: 0o755 },
          '/etc/hostname': 'client\n',
          ...Object.fromEntries(['/proc', '/sys', '/dev', '/run'].map((path) => [path, { directory: true }])),
        },
      },
    },
  })
}

/** Each needs some of those before it, by name and by what they provide; one has busybox's three hundred commands. */
function packagesBoot(): MachineOptions {
  const more = Array.from({ length: 44 }, (_, n) =>
    packageOf({
      name: `package${n}`,
      origin: `package${n - (n % 3)}`,
      depends: [`so:lib${n >> 1}.so.1`, `so:lib${n >> 2}.so.1`, `package${n >> 1}`],
      provides: [
        `so:lib${n}.so.1=1.${n}`,
        ...Array.from({ length: n === 1 ? 300 : 2 }, (_, command) => `cmd:command${n}-${command}=1.0-r0`),
      ],
      installIf: n % 9 === 8 ? [`package${n - 1}=1.0-r0`, 'busybox'] : [],
      triggers: n === 2 ? ['/usr/lib', '/usr/share/*'] : [],
      scripts: n % 6 === 2 ? { 'post-install': '#!/bin/busybox sh\n', trigger: '#!/bin/busybox sh\n' } : {},
      entries: Array.from({ length: 20 }, (_, part) =>
        file(`usr/lib/package${n}/part${part}`, `${n} ${part}\n`),
      ),
    }),
  )
  const all = [...packages, ...more]
  const wanted = more.map(({ spec }) => spec.name).filter((_, n) => n % 4 === 0)
  const words = `console=ttyS0 ip=dhcp apkovl=${overlayUrl} alpine_repo=${indexUrl.replace(/\/x86_64.*/, '')}`
  return networkBoot({
    commandLine: `${words} pkgs=${wanted.join(',')}`,
    servers: {
      [overlayUrl]: { body: overlay },
      [indexUrl]: { body: makeIndex(all) },
      ...Object.fromEntries(all.map((pkg) => [packageUrl(pkg), { body: pkg.bytes }])),
    },
  })
}
