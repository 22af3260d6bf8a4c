/**
 * Disks wiped before use: whatever the last user left on file systems with the label 'scratch' is gone before anything
 * looks at a disk. Flash is discarded whole. Of a disk that cannot do that, both ends are overwritten: no partition table
 * and no file system is found on it any more, but who reads all of it will find the rest.
 */
import { type BeforeNetwork, BootError, defineHook } from 'diskless'

const label = 'scratch'
/** MiB at each end: partition tables, superblocks, and RAID's and LVM's own are in the first and the last. */
const ends = 4

export default defineHook({
  // An old disk that discards by overwriting takes its time.
  timeoutMs: 30 * 60_000,
  async beforeNetwork({ sys, tell, disksSettled }) {
    await disksSettled()
    for (const { subsystem, devname } of await sys.devices.list()) {
      if (subsystem !== 'block' || devname === undefined || /^(loop|ram|sr|fd|zram)\d/.test(devname)) continue
      const { label: found, size } = await sys.devices.probe(`/dev/${devname}`, 10_000)
      if (found !== label) continue
      await wipe(sys, `/dev/${devname}`, Math.floor(size / 2 ** 20))
      tell(`wiped /dev/${devname}`)
    }
  },
})

/** With busybox, which is in the initrd unless it was built with --no-shell. `size` in MiB. */
async function wipe(sys: BeforeNetwork['sys'], device: string, size: number): Promise<void> {
  const busybox = (...words: string[]) =>
    sys.processes.run({ argv: ['/bin/busybox', ...words], timeoutMs: 20 * 60_000 })
  const discarded = await busybox('blkdiscard', device)
  const count = Math.min(ends, size)
  // Also after discarding: not every disk reads as zeros then.
  for (const seek of [0, size - count]) {
    const words = [
      'if=/dev/zero',
      `of=${device}`,
      'bs=1M',
      `count=${count}`,
      `seek=${seek}`,
      'conv=notrunc,fsync',
    ]
    const { status, output } = await busybox('dd', ...words)
    if (status !== 0) {
      throw new BootError(`${device} could not be wiped`, {
        cause: new Error(`${discarded.output}${output}`),
      })
    }
  }
}
