/** What every machine must have of its own: names, keys, identities, randomness, leases. */

import { rewrite } from './disk-tables.ts'
import type { Look, Step } from './step.ts'
import type { Tree } from './tree.ts'

/** machine-id(5): an empty file is filled at each boot, for that boot; a missing one is a first boot, with questions. */
export const machineId: Look = (tree) => {
  const steps: Step[] = []
  const id = tree.text('etc/machine-id')
  const systemd = tree.has('usr/lib/systemd/systemd') || tree.has('lib/systemd/systemd')
  if (id === undefined ? systemd : id !== '') {
    steps.push({ kind: 'write', path: tree.place('etc/machine-id'), content: '', mode: 0o444 })
  }
  const bus = 'var/lib/dbus/machine-id'
  if (tree.look(bus)?.isFile()) steps.push({ kind: 'link', path: tree.place(bus), target: '/etc/machine-id' })
  return {
    why: 'two machines of one id are one to DHCP, to the journal and to D-Bus: each gets its own at each boot',
    steps,
  }
}

/** Init writes the name that DHCP gives where nobody has chosen one; with links it cannot write it. */
export const hostname: Look = (tree, { links }) => {
  const name = tree.text('etc/hostname')?.trim()
  if (links || name === undefined || name === '' || name === 'localhost') return undefined
  return rewrite(tree, 'etc/hostname', undefined, 'localhost\n', {
    why: `else each machine is called ${name}; this way it takes the name that DHCP gives it`,
  })
}

const dropIn = 'etc/systemd/system/ssh.service.d/diskless.conf'
const generate =
  '[Service]\n# The keys are not in the shared tree: each machine makes its own.\nExecStartPre=\nExecStartPre=/usr/bin/ssh-keygen -A\nExecStartPre=/usr/sbin/sshd -t\n'

/** Only where something makes new ones at the boot, and has a place for them. */
export const hostKeys: Look = (tree, { links }) => {
  const keys = tree.list('etc/ssh').filter((name) => /^ssh_host_\w+_key(\.pub)?$/.test(name))
  if (keys.length === 0) return undefined
  const why =
    'whoever can mount the export can read them, and be any of the machines: each makes its own at its boot'
  const kept = (because: string) => ({
    why,
    steps: [],
    note: `The SSH host keys stay in the tree, ${because}: whoever can mount it can read them.`,
  })
  if (links) return kept('as /etc cannot be written with links')
  const steps: Step[] = keys.map((name) => ({ kind: 'remove', path: tree.place(`etc/ssh/${name}`) }))
  if (makesKeys(tree)) return { why, steps }
  const debian = ['usr/lib/systemd/system/ssh.service', 'lib/systemd/system/ssh.service'].some((path) =>
    tree.has(path),
  )
  if (!debian || !tree.has('usr/bin/ssh-keygen')) return kept('as nothing in it makes new ones at the boot')
  return {
    why,
    steps: [...steps, { kind: 'write', path: tree.place(dropIn), content: generate, mode: 0o644 }],
  }
}

/** OpenRC's and Red Hat's services do; Debian's does not. */
function makesKeys(tree: Tree): boolean {
  if (tree.text('etc/init.d/sshd')?.includes('ssh-keygen')) return true
  return tree.list('usr/lib/systemd/system').some((name) => name.startsWith('sshd-keygen'))
}

/** Nothing is changed: without them nobody could log in. */
export const passwords: Look = (tree) => {
  const users = (tree.text('etc/shadow') ?? '').split('\n').flatMap((line) => {
    const [, name, hash = ''] = /^([^:]+):([^:]*):/.exec(line) ?? []
    return name !== undefined && /^[^!*]./.test(hash) ? [name] : []
  })
  if (users.length === 0) return undefined
  const note = `Whoever can mount the tree can read the hashes of passwords in it and try guesses: those of ${users.join(', ')}.`
  return { why: 'hashes of passwords are secrets', steps: [], note }
}

/** systemd-random-seed(8), OpenRC's seedrng, sysvinit's urandom. */
export const randomSeeds: Look = (tree) => {
  const fixed = ['var/lib/systemd/random-seed', 'var/lib/urandom/random-seed', 'var/lib/random-seed']
  const found = fixed.filter((path) => tree.look(path)?.isFile())
  const seeds = tree.list('var/lib/seedrng').map((name) => `var/lib/seedrng/${name}`)
  return removal(
    tree,
    [...found, ...seeds],
    'a seed that many machines start from is no secret of any of them',
  )
}

/** Of dhclient, dhcpcd and NetworkManager. */
export const leases: Look = (tree) => {
  const places: Readonly<Record<string, RegExp>> = {
    'var/lib/dhcp': /lease/,
    'var/lib/dhclient': /lease/,
    'var/lib/dhcpcd': /lease|^duid$|^secret$/,
    'var/lib/NetworkManager': /\.lease$|^secret_key$/,
  }
  const found = Object.entries(places).flatMap(([directory, names]) =>
    tree
      .list(directory)
      .filter((name) => names.test(name))
      .map((name) => `${directory}/${name}`),
  )
  return removal(
    tree,
    found,
    'they are of the machine that this was installed on: others would ask for its address',
  )
}

export function removal(tree: Tree, paths: readonly string[], why: string): { why: string; steps: Step[] } {
  const files = paths.filter((path) => tree.look(path)?.isFile() || tree.look(path)?.isSymbolicLink())
  return { why, steps: files.map((path) => ({ kind: 'remove', path: tree.place(path) })) }
}
