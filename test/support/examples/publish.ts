/** `diskless publish`. */

import type { Props } from './props.ts'
import type { Rehearsals } from './rehearsal.ts'

const config = `cat > diskless.config.ts << 'END'
import { defineConfig } from 'diskless'
export default defineConfig({ boot: './boot', network: { server: '10.0.0.1/24' } })
END`

export const publishRehearsals = ({ boot, demo }: Props): Rehearsals => {
  const built = `${boot} console=ttyS0`
  const published = `${built}\n${config}\ndiskless publish /srv/diskless`
  return {
    'what diskless build wrote, for the network of this server': {
      before: built,
      says: [/\+ boot\.ipxe/, /Clients find it at http:\/\/10\.0\.0\.1\//],
      after: `
diskless publish /srv/diskless --check
cmp boot/initrd /srv/diskless/files/*/initrd
grep -F 'dhcp-range=10.0.0.' /srv/diskless/servers/dnsmasq.conf`,
    },
    'with an overlay and packages; everything else in diskless.config.ts': {
      before: `
${built}
${config}
cp ${demo}/*.apkovl.tar.gz box.apkovl.tar.gz
cp -r ${demo}/apks apks`,
      says: [/\+ \d+ packages/],
      after: `
cmp box.apkovl.tar.gz /srv/diskless/files/*/box.apkovl.tar.gz
cmp apks/x86_64/APKINDEX.tar.gz /srv/diskless/repositories/apks/x86_64/APKINDEX.tar.gz
grep 'apkovl=.* alpine_repo=' /srv/diskless/boot.ipxe`,
    },
    'what would change': {
      before: `
${published}
sed -i "s|boot: './boot'|&, commandLine: 'quiet'|" diskless.config.ts
cp /srv/diskless/boot.ipxe before.ipxe`,
      says: [/would write \d+ files/, /\+ boot\.ipxe/],
      after: `
cmp before.ipxe /srv/diskless/boot.ipxe
diskless publish /srv/diskless --check`,
    },
    'then, as root: DHCP and TFTP, and HTTP': {
      before: `${published}\nat 10.0.0.1`,
      after: `
busybox tftp -g -r boot.ipxe -l by-tftp 10.0.0.1
cmp by-tftp /srv/diskless/boot.ipxe
busybox wget -q -O by-http http://10.0.0.1/boot.ipxe
cmp by-http /srv/diskless/boot.ipxe
# DHCP is at its port.
ss --udp --listening --numeric | grep -E ':67\\b'`,
    },
    'whether a copy on another server is whole, and whose it is': {
      before: `
openssl genrsa -out publish.rsa 2048
openssl rsa -in publish.rsa -pubout -out publish.rsa.pub
${published} --sign publish.rsa
mkdir -p /mnt
cp -r /srv/diskless /mnt/mirror`,
      says: [/\/mnt\/mirror: \d+ files, .*, whole; signed with publish\.rsa\.pub, verified/],
    },
  }
}
