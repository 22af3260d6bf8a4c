/** `diskless prepare-nfsroot`. */

import type { Props } from './props.ts'
import type { Rehearsals } from './rehearsal.ts'

/** What debootstrap leaves that is one machine's own. */
const debian = `
mkdir -p /srv/debian/{bin,sbin,etc/ssh,usr/bin,usr/lib/systemd,var/lib/dbus,root,proc,sys,dev,run,tmp}
touch /srv/debian/usr/lib/systemd/systemd /srv/debian/usr/bin/mount
chmod 755 /srv/debian/usr/lib/systemd/systemd /srv/debian/usr/bin/mount
echo 'UUID=0a1b-2c3d / ext4 errors=remount-ro 0 1' > /srv/debian/etc/fstab
echo 0123456789abcdef0123456789abcdef > /srv/debian/etc/machine-id
echo one > /srv/debian/etc/hostname
cp -a /srv/debian /srv/before`

export const rootRehearsals = ({ reader }: Props): Readonly<Record<'prepare-nfsroot', Rehearsals>> => ({
  'prepare-nfsroot': {
    'what would be changed, and why': {
      before: debian,
      says: [/fstab +\S/, /would: .*fstab/, /machine-id/],
      after: 'diff -r /srv/before /srv/debian; ! test -e /srv/debian.diskless-undo',
    },
    'a system of debootstrap’s, ready for ten machines': {
      before: debian,
      says: [/--undo brings back what was there/, /root=nfs:SERVER:\/srv\/debian/],
      after: `
! grep '^UUID' /srv/debian/etc/fstab
! grep 0123456789abcdef /srv/debian/etc/machine-id`,
    },
    'as it was': {
      before: `${debian}
diskless prepare-nfsroot /srv/debian
! diff -r /srv/before /srv/debian`,
      says: [/fstab/],
      after: 'diff -r /srv/before /srv/debian',
    },
    'Alpine, installed there, with what an overlay says': {
      before: `
mkdir -p /srv/alpine
ln -s ${reader.main} /srv/alpine/main
diskless overlay new kiosk.apkovl.tar.gz --hostname kiosk --world openssh --service sshd`,
      says: [/\d+ packages are installed in \/srv\/kiosk/, /root=nfs:SERVER:\/srv\/kiosk/],
      after: `
test -x /srv/kiosk/usr/sbin/sshd
test -L /srv/kiosk/etc/runlevels/default/sshd
grep -x 'P:openssh' /srv/kiosk/lib/apk/db/installed`,
    },
  },
})
