/** Whether this machine lets the lab be built, and in which words not. */

import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'

export type Possible = { readonly ok: true } | { readonly ok: false; readonly why: string }

const programs = ['ip', 'unshare', 'setpriv', 'dnsmasq', 'nginx', 'rpcbind', 'ganesha.nfsd']

/** PATH, with where Debian keeps servers and mkfs; a login that is not root's lacks it. */
export const environment = { ...process.env, PATH: `${process.env.PATH ?? ''}:/usr/sbin:/sbin` }

let known: Possible | undefined

/** Tried once a process: makes, in namespaces that vanish at once, what the lab makes. */
export function labIsPossible(): Possible {
  known ??= look()
  return known
}

function look(): Possible {
  if (process.getuid?.() !== 0) return { ok: false, why: 'root, for network namespaces' }
  if (!existsSync('/dev/net/tun')) return { ok: false, why: '/dev/net/tun, for the taps of guests' }
  const missing = programs.filter((program) => !isProgram(program))
  if (missing.length > 0) return { ok: false, why: `${missing.join(', ')}: npm run lab installs them` }
  const tried = 'ip tuntap add tap0 mode tap && ip link add br0 type bridge && mount -t tmpfs tmpfs /run'
  const words = ['--net', '--mount', '--pid', '--fork', '--kill-child', 'sh', '-c', tried]
  const { status, stderr, error } = spawnSync('unshare', words, { encoding: 'utf8', env: environment })
  if (status === 0) return { ok: true }
  return {
    ok: false,
    why: `namespaces with taps, which are refused here: ${error?.message ?? stderr.trim()}`,
  }
}

function isProgram(name: string): boolean {
  return environment.PATH.split(':').some((directory) => existsSync(`${directory}/${name}`))
}
