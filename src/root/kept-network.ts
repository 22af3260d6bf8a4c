/**
 * A root that comes by the network needs it to the very end, and the new system must not configure the card a second time
 * nor take it down while it stops: the card is taken out of the hands of ifupdown and systemd-networkd, for this boot.
 */
import type { NetworkUp } from '../network/join.ts'
import type { Sys } from '../sys/index.ts'
import { writeIn } from './in-root.ts'
import { type RootEvents, sysroot } from './mounted.ts'

/** The new root must be writable: its files are changed. */
export async function keepNetwork(
  sys: Pick<Sys, 'files'>,
  { link }: Pick<NetworkUp, 'link'>,
  { onNotice }: Pick<RootEvents, 'onNotice'>,
): Promise<void> {
  for (const path of await interfacesFiles(sys)) {
    const text = await sys.files.readText(path)
    const kept = withoutLink(text, link)
    if (kept === text) continue
    await sys.files.writeText(path, kept)
    onNotice(`${link} carries the root: ${path.slice(sysroot.length)} leaves it as it is, for this boot`)
  }
  if (await hasNetworkd(sys)) {
    await sys.files.makeDirectory('/run/systemd/network')
    // systemd.network(5): the first file that matches counts. /run is moved to the new system.
    const lines = ['# The root comes by this card.', '[Match]', `Name=${link}`, '', '[Link]', 'Unmanaged=yes']
    await sys.files.writeText(
      '/run/systemd/network/00-diskless.network',
      `${[...lines, 'RequiredForOnline=no', '', '[Network]', 'KeepConfiguration=yes'].join('\n')}\n`,
      { mode: 0o644 },
    )
  }
}

async function interfacesFiles(sys: Pick<Sys, 'files'>): Promise<readonly string[]> {
  const directory = '/etc/network/interfaces.d'
  const place = await sys.files.resolveIn(sysroot, directory)
  const isDirectory = place !== undefined && (await sys.files.status(place))?.kind === 'directory'
  const more = isDirectory ? (await sys.files.list(place)).map((name) => `${directory}/${name}`) : []
  const found: string[] = []
  for (const path of ['/etc/network/interfaces', ...more]) {
    const file = await sys.files.resolveIn(sysroot, path)
    if (file !== undefined && (await sys.files.status(file))?.kind === 'file') found.push(file)
  }
  return found
}

async function hasNetworkd(sys: Pick<Sys, 'files'>): Promise<boolean> {
  for (const directory of ['/usr/lib', '/lib']) {
    const program = await sys.files.resolveIn(sysroot, `${directory}/systemd/systemd-networkd`)
    if (program !== undefined) return true
  }
  return false
}

/**
 * interfaces(5) where nothing starts or stops this link by itself, and nothing configures it: some implementations set
 * even a `manual` link down, if it is `auto`.
 */
export function withoutLink(text: string, link: string): string {
  let inStanza = false
  const lines = text.split('\n').map((line) => {
    const words = line.trim().split(/\s+/)
    const [keyword = '', ...names] = words
    if (/^(auto|allow-.*)$/.test(keyword)) {
      inStanza = false
      if (!names.includes(link)) return line
      const others = names.filter((name) => name !== link)
      return others.length === 0 ? `# ${line.trim()}` : [keyword, ...others].join(' ')
    }
    if (keyword === 'iface') {
      const [name, family = 'inet', method = ''] = names
      inStanza = name === link && method !== 'manual'
      return inStanza ? `iface ${link} ${family} manual` : line
    }
    if (/^(mapping|source|source-directory|template|no-.*)$/.test(keyword)) inStanza = false
    return inStanza && keyword !== '' && !keyword.startsWith('#') ? `#${line}` : line
  })
  return lines.join('\n')
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
