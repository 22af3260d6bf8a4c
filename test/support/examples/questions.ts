/** What asks, and changes nothing: `diskless explain` and `inspect`; and `completion`. */

import type { Props } from './props.ts'
import type { Rehearsals } from './rehearsal.ts'

export const questionRehearsals = (
  props: Props,
): Readonly<Record<'explain' | 'inspect' | 'completion', Rehearsals>> => ({
  explain: explainRehearsals(props),
  inspect: inspectRehearsals(props),
  completion: completionRehearsals,
})

const explainRehearsals = ({ boot, demo }: Props): Rehearsals => ({
  'what this machine would do with its own command line': {
    before: `
echo 'console=ttyS0 ip=dhcp root=nfs:10.0.0.1:/srv/debian' > line
mount --bind line /proc/cmdline`,
    says: [/Mounts the kernel’s file systems/, /10\.0\.0\.1.*\/srv\/debian/],
  },
  'whether a machine would boot: servers, signatures, packages': {
    before: `
at 10.0.0.1
echo 10.0.0.1 boot >> /etc/hosts
serve ${demo} 10.0.0.1 80
mkdir -p /srv
(cd /srv; ${boot} '')`,
    says: [
      /http:\/\/boot\/52:54:00:12:34:56\.apkovl\.tar\.gz/,
      /signed.*diskless-demo\.rsa\.pub/,
      /\d+ packages/,
    ],
  },
})

const inspectRehearsals = ({ boot, demo }: Props): Rehearsals => ({
  'whose init, which kernel’s modules, which keys': {
    before: `mkdir -p /srv; (cd /srv; ${boot} '')`,
    says: [/init +diskless \d/, /kernel +\d+\.\d+/, /diskless-demo\.rsa\.pub +RSA/],
  },
  'who signed an index, and whether that is true': {
    before: `cp -r ${demo}/keys /srv/keys; cp ${demo}/apks/x86_64/APKINDEX.tar.gz .`,
    says: [/signed +diskless-demo\.rsa\.pub \(RSA, SHA256\): right/],
  },
  'of every machine’s overlay: world, users, services': {
    before: `
for name in kiosk box; do
  diskless overlay new $name.apkovl.tar.gz --hostname $name --world openssh --service sshd
done`,
    after: `
node -e '
  const overlays = JSON.parse(require("node:fs").readFileSync(0, "utf8"))
  const names = overlays.map(({ hostname }) => hostname).join(" ")
  if (names !== "box kiosk") throw new Error(names)
  if (!overlays.every((each) => JSON.stringify(each).includes("sshd"))) throw new Error("no services")
' < ${'$'}{said}`,
  },
})

const completionRehearsals: Rehearsals = {
  'bash, for every user': {
    before: 'mkdir -p /etc/bash_completion.d',
    after: `
source /etc/bash_completion.d/diskless
COMP_WORDS=(diskless pub) COMP_CWORD=1
_diskless
[ "${'$'}{COMPREPLY[*]}" = publish ]`,
  },
  'zsh, for every user': {
    before: 'mkdir -p /usr/local/share/zsh/site-functions',
    after: `head -1 /usr/local/share/zsh/site-functions/_diskless | grep -x '#compdef diskless'`,
  },
  'fish, for you': {
    // fish makes it when it first starts.
    before: 'mkdir -p ~/.config/fish/completions',
    after: `grep '^complete .*publish' ~/.config/fish/completions/diskless.fish`,
  },
}
