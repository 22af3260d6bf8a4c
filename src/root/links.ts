/**
 * diskless.nfsroot=links: the export read-only at /nfsroot, and a tmpfs of symlinks into it for a root, as diskless
 * clients were built before there was overlayfs. /var is copied, so that it can be written; /etc cannot.
 */
import { showBytes } from '../boot/format.ts'
import type { NetworkUp } from '../network/network-up.ts'
import { BootError, hasCode, type Sys, SysError } from '../sys/index.ts'
import { keepNetwork } from './kept-network.ts'
import { lowerMount, memoryForRoot, type RootEvents, sysroot, upperMount } from './mounted.ts'
import { mountOverlay } from './overlaid.ts'

const base = `${sysroot}/nfsroot`

/** Directories of their own, with their modes: mounts are moved onto most of them. */
const made: ReadonlyMap<string, number> = new Map([
  ['proc', 0o555],
  ['sys', 0o555],
  ['dev', 0o755],
  ['run', 0o755],
  ['tmp', 0o1777],
  ['initrd', 0o755],
  ['var', 0o755],
])

/** The export is at `lowerMount`; `from` is its name for a person. */
export async function linkRoot(
  sys: Sys,
  from: string,
  network: Pick<NetworkUp, 'link' | 'beneath'>,
  events: RootEvents,
): Promise<void> {
  const { signal, onProgress } = events
  const bytes = await memoryForRoot(sys)
  const options = ['mode=0755', `size=${bytes}`]
  await sys.mounts.mount({ type: 'tmpfs', source: 'tmpfs', target: sysroot, options })
  await sys.files.makeDirectory(base)
  await showExport(sys, from, network, events)

  for (const name of await sys.files.list(base)) {
    if (!made.has(name) && name !== 'nfsroot')
      await sys.files.symlink(`nfsroot/${name}`, `${sysroot}/${name}`)
  }
  for (const [name, mode] of made) {
    await sys.files.makeDirectory(`${sysroot}/${name}`)
    await sys.files.setMode(`${sysroot}/${name}`, mode)
  }
  events.onNotice(`copying /var of ${from}`)
  await filling('var', from, bytes, () => copyDirectory(sys, 'var'))
  signal.throwIfAborted()
  await filling('dev', from, bytes, async () => {
    const archive = `${base}/dev.tar.gz`
    if ((await sys.files.status(archive))?.kind !== 'file') return copyDirectory(sys, 'dev')
    await sys.pipelines.run<'tree'>(
      {
        source: { kind: 'file', path: archive },
        filters: [{ kind: 'gunzip' }],
        sink: { kind: 'tree', root: sysroot },
      },
      { signal, ...(onProgress === undefined ? {} : { onProgress }) },
    )
  })
  const resolver = (await sys.files.readTexts(['/etc/resolv.conf'])).get('/etc/resolv.conf')
  if (resolver !== undefined) {
    await sys.files.remove(`${sysroot}/var/resolv.conf`)
    await sys.files.writeText(`${sysroot}/var/resolv.conf`, resolver, { mode: 0o644 })
  }
}

/**
 * Scripts of a shutdown unmount whatever /proc/mounts calls nfs, and end without a /bin. Behind a read-only overlayfs the
 * export is nothing that they know, the same on every distribution. The layer above it holds what keeps the card out of
 * the new system’s hands: /etc cannot be written.
 */
async function showExport(
  sys: Sys,
  from: string,
  network: Pick<NetworkUp, 'link' | 'beneath'>,
  events: RootEvents,
): Promise<void> {
  await sys.files.makeDirectory(upperMount)
  const options = ['mode=0755', 'size=4m']
  await sys.mounts.mount({ type: 'tmpfs', source: 'tmpfs', target: upperMount, options })
  const layers = { below: lowerMount, above: `${upperMount}/changes` }
  await sys.files.makeDirectory(layers.above)
  await sys.files.setMode(layers.above, (await sys.files.status(layers.below))?.mode ?? 0o755)
  const said: string[] = []
  await keepNetwork(sys, network, { onNotice: (text) => said.push(text) }, layers)
  try {
    await mountOverlay(sys, base, from, ['ro', `lowerdir=${layers.above}:${layers.below}`])
  } catch (error) {
    if (!(error instanceof BootError)) throw error
    events.onNotice(
      `without overlayfs the NFS mount shows in the new system: its shutdown must not unmount /nfsroot early, and nothing of it may touch ${network.link}`,
    )
    await sys.mounts.unmount(upperMount)
    await sys.mounts.move(lowerMount, base)
    return
  }
  for (const text of said) events.onNotice(text)
  await keepMounted(sys)
  await sys.mounts.unmount(upperMount, { lazy: true })
  await sys.mounts.unmount(lowerMount, { lazy: true })
}

/** systemd.mount(5): its mounts end before it does, unless told. This one would fail to, as systemd itself runs from it. */
async function keepMounted(sys: Sys): Promise<void> {
  const path = '/run/systemd/system/nfsroot.mount.d'
  if ((await sys.files.resolveIn(base, '/usr/lib/systemd/systemd')) === undefined) return
  await sys.files.makeDirectory(path)
  await sys.files.writeText(`${path}/diskless.conf`, '[Unit]\nDefaultDependencies=no\n', { mode: 0o644 })
}

async function copyDirectory(sys: Sys, name: string): Promise<void> {
  if ((await sys.files.status(`${base}/${name}`))?.kind !== 'directory') return
  await sys.files.copyTree(`${base}/${name}`, `${sysroot}/${name}`)
}

async function filling(name: string, from: string, bytes: number, copy: () => Promise<void>): Promise<void> {
  try {
    await copy()
  } catch (cause) {
    if (!(cause instanceof SysError) || hasCode(cause, 'ABORTED')) throw cause
    if (hasCode(cause, 'ENOSPC')) {
      throw new BootError(
        `/${name} of ${from} does not fit into memory: ${showBytes(bytes)} are free for the root`,
        {
          cause,
          advice: [
            `make /${name} smaller on the server (logs, caches, package databases), or leave out diskless.nfsroot=links: overlayfs copies nothing`,
          ],
        },
      )
    }
    throw new BootError(`/${name} of ${from} could not be copied into memory`, {
      cause,
      advice: hasCode(cause, 'EACCES', 'EPERM')
        ? ['the server maps root to nobody: export it with no_root_squash (and ro)']
        : hasCode(cause, 'FORMAT', 'TRUNCATED', 'ESCAPE')
          ? [`make dev.tar.gz again on the server: tar czf dev.tar.gz -C ROOT dev`]
          : ['is the file server still there?'],
    })
  }
}
