/** A site to publish: what the texts are made of, all of it said. */

import type { Site } from '../../src/cli/publish/site.ts'

export const site: Site = {
  directory: '/srv/diskless',
  url: 'http://10.0.0.1/',
  tls: undefined,
  boot: { kernel: `files/${'1'.repeat(32)}/vmlinuz`, initrd: `files/${'2'.repeat(32)}/initrd` },
  ip: 'dhcp',
  words: ['console=ttyS0', 'greeting=a b', 'apkovl=http://10.0.0.1/overlays/{MAC}.apkovl.tar.gz'],
  machines: [
    { mac: '52:54:00:12:34:57', hostname: 'kiosk', address: '10.0.0.20', words: ['quiet'] },
    { mac: '52:54:00:12:34:58', hostname: undefined, address: undefined, words: ['debug_init'] },
  ],
  loaders: ['ipxe', 'pxelinux', 'grub'],
  firmware: { bios: 'pxelinux.0', efi: 'grub/x64.efi' },
  network: {
    server: '10.0.0.1',
    subnet: '10.0.0.0',
    prefixLength: 24,
    mask: '255.255.255.0',
    // Every machine has it: a checker may ask for its address.
    interface: 'lo',
    range: ['10.0.0.128', '10.0.0.253'],
    router: '10.0.0.254',
    dns: ['10.0.0.1', '9.9.9.9'],
    leaseSeconds: 3600,
  },
  nfs: { path: '/srv/nfs root' },
}
