/** The subcommands. Each is loaded when it is wanted: the help of one needs none of the others. */

import type { Entry } from './command.ts'

export const commands: Readonly<Record<string, Entry>> = {
  build: {
    about: 'makes vmlinuz, initrd and boot.ipxe from a kernel and its modules',
    load: async () => (await import('./build.ts')).buildCommand,
  },
  lock: {
    about: 'resolves a world once, into a signed file that machines boot from exactly',
    load: async () => (await import('./lock.ts')).lockCommand,
  },
  publish: {
    about: 'lays out a directory that servers serve to machines, and the servers’ own files',
    load: async () => (await import('./publish.ts')).publishCommand,
  },
  overlay: {
    about: 'makes, changes, compares and packs overlays (apkovl), without being root',
    load: async () => (await import('./overlay.ts')).overlayCommand,
  },
  explain: {
    about: 'says what a machine will do with a kernel command line, and whether it works',
    load: async () => (await import('./explain.ts')).explainCommand,
  },
  inspect: {
    about: 'says what is in an initrd, an overlay, an index, a lock, a package, a kernel',
    load: async () => (await import('./inspect.ts')).inspectCommand,
  },
  boot: {
    about: 'boots what was built or published in QEMU, on this terminal',
    load: async () => (await import('./boot.ts')).bootCommand,
  },
  timeline: {
    about: 'draws what a boot spent its time on, or two beside each other, as an SVG',
    load: async () => (await import('./timeline.ts')).timelineCommand,
  },
  watch: {
    about: 'shows the machines that are booting: how far they are, and why one has failed',
    load: async () => (await import('./watch.ts')).watchCommand,
  },
  'prepare-nfsroot': {
    about: 'makes an installed system the shared, read-only root of many machines',
    load: async () => (await import('./prepare-nfsroot.ts')).prepareNfsrootCommand,
  },
  completion: {
    about: 'prints what a shell needs to complete diskless on Tab',
    load: async () => (await import('./completion.ts')).completionOf(commands),
  },
}
