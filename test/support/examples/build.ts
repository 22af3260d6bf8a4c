/** `diskless build`. */

import { join } from 'node:path'
import { packageRoot } from '../../../build/paths.ts'
import type { Props } from './props.ts'
import type { Rehearsals } from './rehearsal.ts'

/** A machine with one card, a disk and a keyboard, as its /sys says. */
const kiosk = `
sys=${'$'}1/sys/devices
mkdir -p $sys/card $sys/disk $sys/keyboard
echo pci:v00008086d000010D3sv00008086sd00000000bc02sc00i00 > $sys/card/modalias
echo pci:v00001AF4d00001001sv00001AF4sd00000002bc01sc00i00 > $sys/disk/modalias
echo usb:v046DpC31Cd6402dc00dsc00dp00ic03isc01ip01in00 > $sys/keyboard/modalias
`

export const kioskMachine = (name: string): string => `set -- /machines/${name}\n${kiosk}`

export const buildRehearsals = ({ scratch, reader, squashfs }: Props): Rehearsals => ({
  "of this machine's own kernel, for what Alpine's repositories serve": {
    says: [/\/srv\/boot: vmlinuz \(Linux .*\), initrd \(made\), boot\.ipxe/],
    after: `
cmp /srv/boot/vmlinuz /boot/vmlinuz-$(uname -r)
diskless inspect --all /srv/boot/initrd > sheet
grep -F "$(uname -r)" sheet
grep -F "$(ls /etc/apk/keys)" sheet
grep -w virtio_net sheet`,
  },
  "of Alpine's kernel, from a mirror, for the cards of one kind of machine": {
    before: `
at 10.0.0.1
echo 10.0.0.1 MIRROR >> /etc/hosts
serveSafely ${reader.mirror} 10.0.0.1 mirror
${kioskMachine('kiosk')}`,
    says: [/Fetching linux-lts-/, /\/srv\/boot: vmlinuz/],
    after: `
diskless inspect --all /srv/boot/initrd > sheet
grep -w e1000e sheet
# Another card, which this machine has not.
! grep -w igb sheet`,
  },
  "with a site's own steps (docs/guide/hooks.md)": {
    before: `
mkdir hooks
cp ${join(packageRoot, 'docs/examples/hooks/name.ts')} hooks/
npm install --save-dev typescript`,
    says: [/\/srv\/boot: vmlinuz/],
    after: 'diskless inspect /srv/boot/initrd | grep -F hooks/name.ts',
  },
  'for machines whose root is on NFS': {
    before: `cp ${scratch}/linux-image.deb .`,
    says: [/\/srv\/boot: vmlinuz/],
    after: `
grep -F 'ip=dhcp root=/dev/nfs' /srv/boot/boot.ipxe
diskless inspect --all /srv/boot/initrd > sheet
for module in nfsv4 r8169 e1000e; do grep -w $module sheet; done`,
  },
  'with an image to boot in the initrd itself': {
    before: `cp ${scratch}/linux-image.deb ${squashfs} .`,
    says: [/The squashfs image root\.squashfs, .* is inside initrd/],
    after: `
diskless inspect /srv/boot/initrd | grep -E '/image.squashfs, squashfs'
grep -F loop=/image.squashfs /srv/boot/boot.ipxe`,
  },
})
