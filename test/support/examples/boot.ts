/** `diskless boot`: three machines are switched on, and off. */

import type { Props } from './props.ts'
import type { Rehearsals } from './rehearsal.ts'

const off = `press '\\001x'`

export const bootRehearsals = ({ boot, squashfs }: Props): Rehearsals => ({
  'what diskless build wrote, from power-on': {
    before: `${boot} 'console=ttyS0 ip=off diskless.idle=0'`,
    terminal: true,
    meanwhile: `heard 'Linux version'; ${off}`,
    says: [/Ctrl-A X switches the machine off/, /Linux version/, /QEMU: Terminated/],
  },
  'what was published with --url http://10.0.0.1:8080/, by UEFI, served from here': {
    before: `
${boot} ''
cp ${squashfs} .
diskless publish /srv/diskless --boot boot --image root.squashfs --append console=ttyS0 --server 10.0.0.1/24 --url http://10.0.0.1:8080/`,
    terminal: true,
    meanwhile: `heard 'the root is up'; ${off}`,
    says: [/http:\/\/10\.0\.0\.1:8080\//, /efi: EFI v/, /the root is up/],
  },
  'a bad network, two cards, and what that costs, for diskless timeline': {
    before: `
${boot} 'console=ttyS0 ip=dhcp root=live:http://10.0.2.2:8000/root.squashfs'
serve ${squashfs.replace(/\/[^/]*$/, '')} 127.0.0.1 8000`,
    says: [/up: the system took over/],
    after: `
diskless timeline bad.json
grep '<svg' bad.svg`,
  },
})
