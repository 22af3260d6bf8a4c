/** `diskless overlay`. */

import type { Rehearsals } from './rehearsal.ts'

/** As lbu leaves it. */
const box = `
mkdir -p tree/etc/apk
echo box > tree/etc/hostname
echo openssh > tree/etc/apk/world
echo welcome > tree/etc/motd
tar czf box.apkovl.tar.gz --owner=root --group=root -C tree etc`

export const overlayRehearsals = (): Rehearsals => ({
  'a machine with an SSH server and a key': {
    after: `
mkdir tree
tar xzf box.apkovl.tar.gz -C tree
grep -x box tree/etc/hostname
grep -x openssh tree/etc/apk/world
test -L tree/etc/runlevels/default/sshd
cmp tree/root/.ssh/authorized_keys ~/.ssh/id_ed25519.pub`,
  },
  'another package in what lbu wrote, and what that changed': {
    before: box,
    // As diff(1): they differ.
    status: 1,
    says: [/^world +\+htop$/m],
    after: `tar xzOf new.apkovl.tar.gz etc/apk/world | tr '\\n' ' ' | grep -x 'htop openssh '`,
  },
  'edit it as files, with an editor, and pack it again': {
    before: box,
    after: `
tar xzOf box.apkovl.tar.gz etc/motd | tr '\\n' ' ' | grep -x 'welcome a line of vi’s '
tar tvzf box.apkovl.tar.gz | grep -E 'root[/ ]root.* etc/motd'`,
  },
  'encrypted, and signed for an initrd that asks for that': {
    before: `
echo a long secret > secret
openssl genrsa -out overlay.rsa 2048
openssl rsa -in overlay.rsa -pubout -out overlay.rsa.pub`,
    after: `
box=$(echo *.aes-256-cbc)
openssl enc -d -aes-256-cbc -pass file:secret -in $box | tar xzO etc/apk/world | grep -x openssh
openssl dgst -sha256 -verify overlay.rsa.pub -signature $box.sig $box`,
  },
})
