/** What many machines need: `diskless lock`, `watch`, `timeline`. */

import type { Props } from './props.ts'
import type { Rehearsals } from './rehearsal.ts'

export const fleetRehearsals = (
  props: Props,
): Readonly<Record<'lock' | 'watch' | 'timeline', Rehearsals>> => ({
  lock: lockRehearsals(props),
  watch: watchRehearsals(props),
  timeline: timelineRehearsals(props),
})

function lockRehearsals({ reader }: Props): Rehearsals {
  const key = `
mkdir -p /srv/boot /srv/alpine
openssl genrsa -out lock.rsa 2048
openssl rsa -in lock.rsa -pubout -out lock.rsa.pub`
  const lock =
    'diskless lock --repo /srv/alpine/main --keys /etc/apk/keys --sign lock.rsa --out /srv/boot/lock'
  return {
    'lock three packages and what they need, of a repository that lies here': {
      before: `${key}\nln -s ${reader.main} /srv/alpine/main`,
      says: [/\/srv\/boot\/lock: \d+ packages for x86_64, .*; signed with lock\.rsa\.pub/],
      after: `
grep -A 1 -x P:nginx /srv/boot/lock | grep -x V:1.26-r1
cp lock.rsa.pub /etc/apk/keys/
diskless inspect --keys /etc/apk/keys /srv/boot/lock | grep lock.rsa.pub.*right`,
    },
    'the same again, with what is new in the repository': {
      before: `${key}
ln -s ${reader.formerMain} /srv/alpine/main
${lock} --world nginx
ln -sfn ${reader.main} /srv/alpine/main`,
      says: [/Changes to the former lock:/, /changed +nginx 1\.26-r0 -> 1\.26-r1/],
      after: 'grep -A 1 -x P:nginx /srv/boot/lock | grep -x V:1.26-r1',
    },
  }
}

function watchRehearsals({ posts, machines }: Props): Rehearsals {
  const post = (pattern: string) =>
    `for post in ${posts}/${pattern}; do busybox wget -q -O /dev/null --post-file=$post http://10.0.0.1:8080/; done`
  return {
    'a table; machines boot with diskless.report=http://10.0.0.1:8080/': {
      before: 'at 10.0.0.1',
      terminal: true,
      meanwhile: `
heard 'diskless.report=http://10.0.0.1:8080/'
${post('00-*')}
heard '1 machine: 1 up'
press q`,
      says: [/no machine has reported yet/, /1 machine: 1 up/, /\bguest\b.* up /],
      after: 'diskless timeline timelines/52-54-00-00-00-00-*.json --out boot.svg',
    },
    'wait for twenty machines, for a script': {
      before: 'at 10.0.0.1',
      meanwhile: `heard 'machines report with'; ${post('*')}`,
      says: [/"event":"began"/, /"event":"up"/],
      after: `[ $(grep -c '"event":"up"' ${'$'}{said}) = ${machines} ]`,
    },
  }
}

const timelineRehearsals = ({ timelines: [before, after] }: Props): Rehearsals => ({
  'of a machine that runs': {
    before: `mkdir -p /machines/kiosk-7/run/diskless; cp ${before} /machines/kiosk-7/run/diskless/timeline.json`,
    says: [/it waited for\n[\s\S]*network/],
    after: `
grep '<svg' kiosk-7.svg
heard "file://$PWD/kiosk-7.svg" /opened`,
  },
  'what a change of the network brought': {
    before: `cp ${before} ${after} .`,
    says: [/before: .*it waited for/, /after: .*it waited for/],
    after: "grep '<svg' both.svg; grep after both.svg",
  },
})
