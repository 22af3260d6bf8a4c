/** After the packages: the last files of the new root, each only where it has none of its own. */
import type { LeasePlan } from '../boot/lease-plan.ts'
import { formatInterfaces } from '../network/interfaces-file.ts'
import type { NetworkUp } from '../network/network-up.ts'
import type { Sys } from '../sys/index.ts'
import { directoryIn, writeIn } from './in-root.ts'
import { sysroot } from './ram.ts'

/** Alpine's init writes the first two when neither the overlay nor a package has them. */
export async function settleRoot(
  sys: Sys,
  repositories: readonly string[],
  online: NetworkUp | undefined,
  lease: LeasePlan | undefined,
): Promise<void> {
  if (
    (await sys.files.resolveIn(sysroot, '/etc/apk/repositories')) === undefined &&
    repositories.length > 0
  ) {
    await writeIn(sys, sysroot, 'etc/apk/repositories', `${repositories.join('\n')}\n`)
  }
  const resolver = (await sys.files.readTexts(['/etc/resolv.conf'])).get('/etc/resolv.conf')
  if (resolver !== undefined && (await sys.files.resolveIn(sysroot, '/etc/resolv.conf')) === undefined) {
    await writeIn(sys, sysroot, 'etc/resolv.conf', resolver)
  }
  const interfaces = '/etc/network/interfaces'
  if (online !== undefined && (await sys.files.resolveIn(sysroot, interfaces)) === undefined) {
    await writeIn(sys, sysroot, interfaces.slice(1), formatInterfaces(online, lease))
  }
}

/** The initrd's keys over the overlay's: what the boot trusted, the new system's apk trusts too. */
export async function copyKeys(sys: Sys): Promise<void> {
  const directory = await directoryIn(sys, sysroot, 'etc/apk/keys')
  for (const name of await initrdKeys(sys)) {
    await sys.files.remove(`${directory}/${name}`)
    await sys.files.copy(`/etc/apk/keys/${name}`, `${directory}/${name}`)
  }
}

async function initrdKeys(sys: Sys): Promise<readonly string[]> {
  return (await sys.files.status('/etc/apk/keys')) === undefined ? [] : sys.files.list('/etc/apk/keys')
}
