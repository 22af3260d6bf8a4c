/**
 * A root that comes by the network needs it to the very end, and the new system must not configure the card a second time
 * nor take it down while it stops. Its own programs are told so, each in its own words, for this boot.
 */
import type { NetworkUp } from '../network/network-up.ts'
import type { Sys } from '../sys/index.ts'
import { writeIn } from './in-root.ts'
import { withoutLink } from './interfaces.ts'
import { type RootEvents, sysroot } from './mounted.ts'

/** Where the new root’s files are read, and where those that change are written: a layer that will lie above them. */
export interface Layers {
  readonly below: string
  readonly above: string
}

const writable: Layers = { below: sysroot, above: sysroot }

/** Unless `layers` says otherwise, the new root is at /sysroot and can be written. */
export async function keepNetwork(
  sys: Pick<Sys, 'files'>,
  { link, beneath }: Pick<NetworkUp, 'link' | 'beneath'>,
  { onNotice }: Pick<RootEvents, 'onNotice'>,
  layers: Layers = writable,
): Promise<void> {
  const changed: string[] = []
  // With a VLAN or a bond, what it lies on carries the root as well.
  const links = [link, ...beneath]
  for (const [path, text] of await filesToChange(sys, layers.below, links)) {
    await writeAbove(sys, layers, path, text)
    changed.push(path)
  }
  if (changed.length > 0)
    onNotice(`${link} carries the root: ${changed.join(', ')} leave it as it is, for this boot`)
  await tellPrograms(sys, layers.below, links)
}

/** The new text by the path in the root, for what has no other place to say it than in /etc. */
async function filesToChange(
  sys: Pick<Sys, 'files'>,
  root: string,
  links: readonly string[],
): Promise<ReadonlyMap<string, string>> {
  const changed = new Map<string, string>()
  const change = async (path: string, how: (text: string) => string) => {
    const file = await sys.files.resolveIn(root, path)
    if (file === undefined || (await sys.files.status(file))?.kind !== 'file') return
    const text = await sys.files.readText(file)
    const kept = how(text)
    if (kept !== text) changed.set(file.slice(root.length), kept)
  }
  for (const path of await interfacesFiles(sys, root)) {
    await change(path, (text) => links.reduce(withoutLink, text))
  }
  // dhcpcd.conf(5): at the beginning, as what follows an interface’s line is about that interface only.
  await change('/etc/dhcpcd.conf', (text) => `denyinterfaces ${links.join(' ')}\n${text}`)
  // halt(8) of sysvinit, which else takes every card down before it is done with the files of the root.
  await change('/etc/default/halt', (text) => `${text.replace(/^NETDOWN=/gm, '#$&')}\nNETDOWN=no\n`)
  return changed
}

async function interfacesFiles(sys: Pick<Sys, 'files'>, root: string): Promise<readonly string[]> {
  const directory = '/etc/network/interfaces.d'
  const place = await sys.files.resolveIn(root, directory)
  const isDirectory = place !== undefined && (await sys.files.status(place))?.kind === 'directory'
  const more = isDirectory ? (await sys.files.list(place)).map((name) => `${directory}/${name}`) : []
  return ['/etc/network/interfaces', ...more]
}

/** Keeps the modes of the file and of the directories above it. */
async function writeAbove(
  sys: Pick<Sys, 'files'>,
  { below, above }: Layers,
  path: string,
  text: string,
): Promise<void> {
  if (below !== above) {
    for (let slash = path.indexOf('/', 1); slash > 0; slash = path.indexOf('/', slash + 1)) {
      const directory = path.slice(0, slash)
      await sys.files.makeDirectory(above + directory)
      await sys.files.setMode(above + directory, (await sys.files.status(below + directory))?.mode ?? 0o755)
    }
    await sys.files.copy(below + path, above + path)
  }
  await sys.files.writeText(above + path, text)
}

/** Those that read /run too, which is moved to the new system: nothing of the root is changed for them. */
async function tellPrograms(sys: Pick<Sys, 'files'>, root: string, links: readonly string[]): Promise<void> {
  const has = async (...paths: readonly string[]) => {
    for (const path of paths) if ((await sys.files.resolveIn(root, path)) !== undefined) return true
    return false
  }
  const tell = async (directory: string, name: string, lines: readonly string[]) => {
    await sys.files.makeDirectory(directory)
    const text = ['# The root comes by this card.', ...lines, ''].join('\n')
    await sys.files.writeText(`${directory}/${name}`, text, { mode: 0o644 })
  }
  const libraries = ['/usr/lib/systemd', '/lib/systemd']
  if (await has(...libraries.map((each) => `${each}/systemd-networkd`))) {
    // systemd.network(5): the first file that matches counts.
    const network = [
      '[Link]',
      'Unmanaged=yes',
      'RequiredForOnline=no',
      '',
      '[Network]',
      'KeepConfiguration=yes',
    ]
    await tell('/run/systemd/network', '00-diskless.network', [
      '[Match]',
      `Name=${links.join(' ')}`,
      '',
      ...network,
    ])
  }
  if (await has(...libraries.map((each) => `${each}/systemd-udevd`))) {
    // systemd.link(5): neither a new name nor another one beside it, by which ifupdown would find the card.
    const name = ['[Match]', `OriginalName=${links.join(' ')}`, '', '[Link]', 'NamePolicy=']
    await tell('/run/systemd/network', '00-diskless.link', name)
  }
  if (await has('/usr/sbin/NetworkManager', '/usr/bin/NetworkManager')) {
    const keyfile = [
      '[keyfile]',
      `unmanaged-devices+=${links.map((link) => `interface-name:${link}`).join(';')}`,
    ]
    await tell('/run/NetworkManager/conf.d', '99-diskless.conf', keyfile)
  }
}

/** The servers that this boot asks, where the new root has no file of its own or a link that leads nowhere yet. */
export async function bringResolver(sys: Pick<Sys, 'files'>): Promise<void> {
  const text = (await sys.files.readTexts(['/etc/resolv.conf'])).get('/etc/resolv.conf')
  if (text === undefined || (await sys.files.resolveIn(sysroot, '/etc/resolv.conf')) !== undefined) return
  const etc = await sys.files.resolveIn(sysroot, '/etc')
  const link = etc === undefined ? undefined : await sys.files.status(`${etc}/resolv.conf`)
  if (link === undefined) return writeIn(sys, sysroot, 'etc/resolv.conf', text)
  const target = link.kind === 'symlink' ? await sys.files.readLink(`${etc}/resolv.conf`) : ''
  // What is in /run is made by a program of the new system: resolvconf, systemd-resolved, NetworkManager.
  if (/^\/(?!run\/|var\/run\/)[^/]+\/./.test(target)) await writeIn(sys, sysroot, target.slice(1), text)
}
