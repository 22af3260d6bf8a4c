/** Boots of one machine after another with the same disk, which is its cache. */
import { run } from '../../../src/init/run.ts'
import {
  type Answer,
  type FakeMachine,
  fakeMachine,
  fileSystemOf,
  type MachineOptions,
  type Media,
  type Server,
} from '../../support/machine/index.ts'
import {
  commandLine,
  indexUrl,
  makeIndex,
  networkBoot,
  overlay,
  overlayUrl,
  packages,
  packageUrl,
} from '../../support/scenario.ts'

export const cached = `${commandLine} diskless.cache=LABEL=CACHE`

export function emptyDisk(change: Partial<Media> = {}): Media {
  return { type: 'ext4', capacity: 2 ** 20, contents: { label: 'CACHE' }, ...change }
}

/** A web server that tells what has which state. */
export function taggedServers(tag = '1'): Record<string, Answer | Server> {
  return {
    [overlayUrl]: { body: overlay, etag: `overlay-${tag}` },
    [indexUrl]: { body: makeIndex(), etag: 'index' },
    ...Object.fromEntries(packages.map((pkg) => [packageUrl(pkg), { body: pkg.bytes }])),
  }
}

export function withCache(disk: Media, change: MachineOptions = {}): MachineOptions {
  return networkBoot({
    commandLine: cached,
    disks: [{ devname: 'vda', media: disk }],
    servers: taggedServers(),
    ...change,
  })
}

/** Until init hands over, reboots, or opens its shell. */
export async function bootOn(options: MachineOptions, prepare: (machine: FakeMachine) => void = () => {}) {
  const machine = fakeMachine(options)
  prepare(machine)
  void run(machine)
  const shell = async () => {
    while (machine.processes.sessions.length === 0) await machine.clock.sleep(100)
    return 'shell' as const
  }
  const ended = machine.supervisor.ended.then(({ kind }) => kind)
  const ending = await machine.run(Promise.race([ended, shell()]))
  return { machine, ending, console: machine.consoles.text() }
}

export async function read(machine: FakeMachine, path: string): Promise<string | undefined> {
  const place = await machine.files.resolveIn('/sysroot', path)
  return place === undefined ? undefined : machine.files.readText(place)
}

/** What a server was asked for, and whether the request said what is known. */
export function asked(machine: FakeMachine): readonly string[] {
  return machine.servers.requests.map(
    ({ url, unlessStill }) => `${url.split('/').at(-1)}${unlessStill === undefined ? '' : '?'}`,
  )
}

export const objects = '/diskless-cache/objects'

export function objectsOn(disk: Media): readonly string[] {
  return fileSystemOf(disk).list(objects)
}

/** Turns the first byte of every object that begins so. */
export function rot(disk: Media, begins: Uint8Array): number {
  const held = fileSystemOf(disk)
  let count = 0
  for (const name of objectsOn(disk)) {
    const bytes = Buffer.from(held.read(`${objects}/${name}`))
    if (!bytes.subarray(0, begins.length).equals(begins)) continue
    bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1
    held.write(`${objects}/${name}`, bytes, 0o600)
    count += 1
  }
  return count
}
