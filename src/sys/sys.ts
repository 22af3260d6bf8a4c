/**
 * The one door to the machine. Everything that init does to the outside goes through this interface, so the whole
 * of init runs in a test on a fake machine with a virtual clock.
 *
 * Every promise here rejects with a `SysError` (error.ts). Paths are absolute.
 */

import type { Events, Network } from './network.ts'
import type { Pipelines } from './pipeline.ts'

export type { Events } from './network.ts'

export interface Sys {
  readonly clock: Clock
  readonly files: Files
  readonly mounts: Mounts
  readonly modules: Modules
  readonly devices: Devices
  readonly network: Network
  readonly pipelines: Pipelines
  readonly packages: Packages
  readonly processes: Processes
  readonly consoles: Consoles
  readonly supervisor: Supervisor
}

export interface Clock {
  /** Milliseconds since the kernel started (CLOCK_BOOTTIME), with a fraction. */
  now(): number
  /** By `now`: when init's first instruction ran, before there was an engine. */
  readonly started: number
  /** Milliseconds since 1970 (CLOCK_REALTIME). */
  wall(): number
  setWall(milliseconds: number): Promise<void>
  /** Resolves after so many milliseconds. Only for deadlines and backoff. Rejects with ABORTED. */
  sleep(milliseconds: number, signal?: AbortSignal): Promise<void>
  /** In [0, 1), for jitter. */
  random(): number
}

export type FileKind = 'file' | 'directory' | 'symlink' | 'block' | 'char' | 'fifo' | 'socket'

export interface FileStatus {
  readonly kind: FileKind
  /** Permission bits with set-id and sticky, 0o7777. */
  readonly mode: number
  readonly size: number
  readonly uid: number
  readonly gid: number
  /** Device numbers `major:minor`, of the node itself for block and char, else of the file system it is on. */
  readonly device: string
}

export interface Files {
  /** At most 1 MiB, UTF-8 (invalid bytes replaced); more is TOO_BIG. Works on sysfs and procfs. */
  readText(path: string): Promise<string>
  /** Like readText, of several files at once; what cannot be read is absent. */
  readTexts(paths: readonly string[]): Promise<ReadonlyMap<string, string>>
  /** Creates or truncates. Follows symlinks. Parents must exist. */
  writeText(
    path: string,
    text: string,
    options?: { readonly mode?: number; readonly append?: boolean },
  ): Promise<void>
  /** lstat; undefined when it is not there. */
  status(path: string): Promise<FileStatus | undefined>
  /** Names, sorted, without `.` and `..`. */
  list(directory: string): Promise<readonly string[]>
  /** Creates parents; an existing directory is no error and keeps its mode. */
  makeDirectory(path: string, mode?: number): Promise<void>
  /** Recursive, does not cross mounts, no error when absent. */
  remove(path: string): Promise<void>
  rename(from: string, to: string): Promise<void>
  symlink(target: string, path: string): Promise<void>
  readLink(path: string): Promise<string>
  setMode(path: string, mode: number): Promise<void>
  /** One regular file, mode kept; parents must exist. */
  copy(from: string, to: string): Promise<void>
  /**
   * What is below the directory `from`, into the directory `to` (made if needed): owners, modes, times, symlinks, hard
   * links, device nodes and extended attributes kept, as `cp -a` does. Does not cross mounts.
   */
  copyTree(from: string, to: string): Promise<{ readonly bytes: number; readonly files: number }>
  /**
   * Resolves `path` as if `root` were /: symlinks in it cannot leave (RESOLVE_IN_ROOT). Returns the outer path
   * of the file it ends at; undefined when nothing is there.
   */
  resolveIn(root: string, path: string): Promise<string | undefined>
  /** Bytes: statfs(2). */
  space(path: string): Promise<{ readonly total: number; readonly free: number }>
  sync(): Promise<void>
}

export interface MountRequest {
  readonly type: string
  readonly source: string
  readonly target: string
  /** As in fstab's fourth field: flags (`ro`, `nosuid`) and the file system's own options. */
  readonly options: readonly string[]
  /** A mount that hangs (NFS, a dying disk) is given up after this; TIMEOUT. */
  readonly timeoutMs?: number
}

export interface Mounts {
  mount(request: MountRequest): Promise<void>
  bind(source: string, target: string, options?: readonly string[]): Promise<void>
  remount(target: string, options: readonly string[]): Promise<void>
  move(source: string, target: string): Promise<void>
  unmount(target: string, options?: { readonly lazy?: boolean }): Promise<void>
  /** /proc/self/mountinfo, in order. */
  list(): Promise<readonly MountEntry[]>
}

export interface MountEntry {
  readonly source: string
  readonly target: string
  readonly type: string
  readonly options: readonly string[]
  /** `major:minor`. */
  readonly device: string
}

export interface Modules {
  /** Names of the initrd's modules whose aliases match, by modules.alias(5), in the order of `modaliases`, once each. */
  match(modaliases: readonly string[]): Promise<readonly string[]>
  /**
   * Loads a module by name or alias, after its dependencies and soft dependencies (modules.dep, modules.softdep).
   * Already loaded or built in: resolves. ENOENT: the initrd has none of that name.
   */
  load(name: string, parameters?: string): Promise<void>
  /**
   * From now on the initrd's file of a module is removed once the kernel has it, which gives its memory back. A module that
   * is unloaded by hand cannot be loaded again then.
   */
  discardLoaded(): Promise<void>
}

export interface Device {
  /** Below /sys, without it: `devices/pci0000:00/0000:00:03.0`. */
  readonly path: string
  /** `pci`, `virtio`, `usb`, `block`, `net`, … */
  readonly subsystem: string | undefined
  readonly modalias: string | undefined
  /** PCI class, six hex digits: `020000`. */
  readonly pciClass: string | undefined
  readonly driver: string | undefined
  /** /dev name, without /dev/. */
  readonly devname: string | undefined
}

export interface Uevent {
  readonly action: 'add' | 'remove' | 'change' | 'move' | 'online' | 'offline' | 'bind' | 'unbind'
  /** Below /sys, with a leading slash, as the kernel sends it. */
  readonly devpath: string
  readonly subsystem: string
  /** All keys of the event. */
  readonly environment: Readonly<Record<string, string>>
}

/** What the first blocks of a device say, as blkid(8) reads them. */
export interface Contents {
  /**
   * `ext4` (also for ext2 and ext3), `btrfs`, `xfs`, `f2fs`, `vfat`, `exfat`, `ntfs`, `iso9660`, `udf`, `squashfs`, `erofs`,
   * `swap`; and what is no file system: `crypto_LUKS`, `LVM2_member`, `linux_raid_member`, `zfs_member`, `bcache`.
   * Undefined: nothing that we know.
   */
  readonly type: string | undefined
  /** As blkid prints it, case included. */
  readonly uuid: string | undefined
  readonly label: string | undefined
  /** Of the partition that this is: from GPT (lower case), or from the DOS label (`a1b2c3d4-01`). */
  readonly partUuid: string | undefined
  readonly partLabel: string | undefined
  /** Bytes of the device. */
  readonly size: number
}

export interface Devices {
  /** Every device below /sys/devices. */
  list(): Promise<readonly Device[]>
  /** The kernel's uevents from now on. */
  watch(signal: AbortSignal): Events<Uevent>
  /** Reads a block device or an image in a file. A device that does not answer: TIMEOUT. An empty drive: ENOMEDIUM. */
  probe(path: string, timeoutMs: number): Promise<Contents>
  /**
   * The file as a block device: `/dev/loop0`. It goes away with its last user: `mount` it, or `detachLoop`.
   * `partitions`: its partitions get devices too.
   */
  attachLoop(
    file: string,
    options: { readonly readOnly: boolean; readonly partitions?: boolean },
  ): Promise<string>
  detachLoop(device: string): Promise<void>
}

/** apk v2 packages, as far as bytes are concerned. */
export interface Packages {
  /**
   * Checks the index's signature by a key of that name. `keys`: the PEM files' paths by key name.
   * Resolves with the name of the key that verified; rejects with SIGNATURE.
   */
  verifyIndex(index: number, keys: ReadonlyMap<string, string>): Promise<string>
  /**
   * Stanzas of the packages with one of these names, and of those that provide one: the text between blank lines,
   * in index order.
   */
  lookup(index: number, names: readonly string[]): Promise<readonly string[]>
  /**
   * Of the stanzas with an install_if (`i:`), those that can matter when `names` are in reach: every name in it,
   * conflicts (`!name`) aside, is among them, or the package provides one of them. In index order. More than these
   * is no error, only slower.
   */
  installIf(index: number, names: readonly string[]): Promise<readonly string[]>
  /** Writes the index, as it was fetched, where apk looks for the index of the repository `url` in this cache directory. */
  saveIndex(index: number, directory: string, url: string): Promise<void>
  closeIndex(index: number): Promise<void>
  /**
   * Reads lib/apk/db/installed of a root, if any, into a database kept by the host: owners of paths and the stanzas.
   * Makes the directories that apk makes for itself: dev, tmp, etc/apk, lib/apk/db, var/cache/apk, var/cache/misc.
   * `keep`: paths (relative, as a tree sink lists them) whose present file is never replaced.
   */
  openDatabase(root: string, keep: readonly string[]): Promise<DatabaseHandle>
  /**
   * Moves a stage's files into the root, owners by name from the root's passwd and group, and enters them in the database.
   * For a path that another package owns: `takes` lists the owners that it is taken from, `yields` those to
   * whom it is left; any other owner is a conflict: the path is taken and told in `conflicts`. Calls of this and of `enter`
   * need not wait for each other: they are done in the order in which they were made.
   */
  commit(database: number, request: CommitRequest): Promise<CommitResult>
  /** Enters a package that has no files, and so no stage; `stanza` as in CommitRequest. */
  enter(database: number, request: Pick<CommitRequest, 'name' | 'stanza'>): Promise<void>
  /** Writes a stage's script to a path, executable. */
  extractScript(stage: number, script: string, path: string): Promise<void>
  /** The same of a package that the database has. */
  extractInstalledScript(database: number, name: string, script: string, path: string): Promise<void>
  /**
   * Gives the directories that were made the modes and owners that their packages want. Once, after the last commit
   * and before the triggers, as apk does: until then they are root's.
   */
  settleDirectories(database: number): Promise<void>
  /** Removes a stage that is not going to be committed. */
  discard(stage: number): Promise<void>
  /**
   * Writes lib/apk/db/{installed,scripts.tar,triggers,lock} of the root, as apk-tools 2.14 writes them.
   * `broken`: names of packages of which a script failed; they get apk's flag for that. `untagged`: those of them that
   * failed while they were installed: apk does not note their repository's tag.
   */
  writeDatabase(database: number, broken: readonly string[], untagged: readonly string[]): Promise<void>
}

export interface DatabaseHandle {
  readonly id: number
  /** Stanzas (package fields only) of what is installed already. */
  readonly installed: readonly string[]
}

export interface CommitRequest {
  readonly stage: number
  readonly name: string
  /** The package's lines of the installed database that come from its index stanza, in apk's order, without F:, R:, … */
  readonly stanza: string
  readonly takes: readonly string[]
  readonly yields: readonly string[]
  /** The directories that the package's trigger watches; absent when it has none. */
  readonly triggers?: readonly string[]
  /** Since the last commit: users may be others now. apk looks a name up once between two scripts. */
  readonly scriptRan?: boolean
}

export interface CommitResult {
  readonly conflicts: readonly { readonly path: string; readonly owner: string }[]
  /** Directories that got a file or were made, relative, for triggers. */
  readonly directories: readonly string[]
  /** What is not as the package has it, a sentence each: it is installed, but marked as broken. */
  readonly broken: readonly string[]
}

export interface RunRequest {
  /** argv[0] is looked up in PATH of `environment`, inside `root`. */
  readonly argv: readonly string[]
  /** The child is chrooted here. */
  readonly root?: string
  readonly directory?: string
  readonly environment?: Readonly<Record<string, string>>
  readonly input?: string
  /** Killed (the whole process group) after this; TIMEOUT. */
  readonly timeoutMs: number
}

export interface RunResult {
  /** Exit status; 128 + the signal's number when killed by one. */
  readonly status: number
  /** Standard output and standard error together, the last 64 KiB. */
  readonly output: string
}

export interface ShellSession {
  /** Resolves when the process on the console ended. */
  readonly ended: Promise<{ readonly status: number }>
  /** Ends it and everything in its session. */
  close(): Promise<void>
}

export interface Processes {
  run(request: RunRequest, signal?: AbortSignal): Promise<RunResult>
  /** Runs a program as the leader of a new session with this console as its controlling terminal. */
  onConsole(
    device: string,
    argv: readonly string[],
    environment: Readonly<Record<string, string>>,
  ): Promise<ShellSession>
}

export interface Console {
  /** `/dev/ttyS0`. */
  readonly device: string
  /** A virtual terminal, or another screen that can redraw a line; a serial line cannot be relied on to. */
  readonly screen: boolean
  /** The one that /dev/console leads to. */
  readonly preferred: boolean
}

export interface Question {
  /** Consoles that it is asked on; the first answer counts, and the others are told so. */
  readonly devices: readonly string[]
  /** Ends in `: `. */
  readonly prompt: string
  /** False for a password. */
  readonly echo: boolean
  /** Until then nobody answered: TIMEOUT. Any key starts it again. */
  readonly timeoutMs: number
}

export interface Consoles {
  /** /proc/consoles. */
  list(): Promise<readonly Console[]>
  /** One line that a person types, without its end; at most 1 KiB. Other output may come in between. */
  ask(question: Question, signal?: AbortSignal): Promise<string>
  /** Loads a keymap of busybox' dumpkmap format (`bkeymap`; gzipped or not) into the virtual terminals. */
  setKeymap(path: string): Promise<void>
  /** Never blocks for long: what a device does not take at once waits in a bounded buffer; the oldest bytes are dropped. */
  write(device: string, text: string): Promise<void>
  /** Bits a second of a serial line: the kernel sets only its own console's, and 9600 for the others. */
  setSpeed(device: string, baud: number): Promise<void>
  /** Milliseconds since somebody last typed on it (the terminal's atime, so a few seconds coarse). */
  idle(device: string): Promise<number>
  /** The kernel's log, last lines; `since` in milliseconds of clock.now. */
  kernelLog(since?: number): Promise<readonly string[]>
}

export type EndAction = 'shell' | 'retry' | 'reboot'

/** What the supervisor (PID 1) does by itself if the engine dies. Told as soon as it is known. */
export interface FatalPolicy {
  readonly action: EndAction
  /** Milliseconds before a retry or a reboot. */
  readonly delayMs: number
  /** Devices of the consoles that get a shell. */
  readonly consoles: readonly string[]
}

export interface Handoff {
  readonly root: string
  /** Path inside the root. */
  readonly init: string
  readonly arguments: readonly string[]
  /** `/dev/console`, inside the new root, unless told. */
  readonly console: string
  /** A `KeeperPlan` (src/network/keeper.ts) as JSON: PID 1 starts the lease keeper with it, which stays. */
  readonly keeper?: string
}

/** A command typed in the emergency shell, waiting for its answer. */
export interface ShellCommand {
  /** `retry`, `log`, `plan`, `timeline`, and its arguments. */
  readonly argv: readonly string[]
  /** The text is printed in the shell; the command's exit status. */
  answer(text: string, status: number): Promise<void>
}

export interface Supervisor {
  setPolicy(policy: FatalPolicy): Promise<void>
  /** What is being done now: printed if the engine dies. */
  note(text: string): Promise<void>
  /** Commands of emergency shells, by the local socket /run/diskless/shell.sock. */
  commands(signal: AbortSignal): Events<ShellCommand>
  /** Ends the engine; PID 1 moves the root, empties the initramfs, chroots and execs. Does not return. */
  handoff(handoff: Handoff): Promise<never>
  reboot(how: 'reboot' | 'poweroff'): Promise<never>
}
