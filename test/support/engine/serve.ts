/** The host's side of the wire, before any `Sys`: an operation's name and JSON in, one answer and events out. */

import {
  type DatagramSocket,
  type DhcpMessage,
  type DhcpSocket,
  type Events,
  type LinkChange,
  type MountRequest,
  type NewLink,
  type Pipeline,
  type Question,
  type RunRequest,
  type ShellCommand,
  type ShellSession,
  type Sys,
  SysError,
  type SysErrorFields,
} from '../../../src/sys/index.ts'

export interface Answers {
  onAnswer(id: number, ok: boolean, json: string): void
  onEvent(id: number, json: string): void
}

interface Call {
  readonly signal: AbortSignal
  emit(event: unknown): void
}

type Operation = (json: string, call: Call) => Promise<unknown>

/** The arguments are the other side's word for their type, as on the real wire. */
function op<A>(act: (args: A, call: Call) => unknown): Operation {
  return async (json, call) => {
    const args: A = JSON.parse(json)
    return act(args, call)
  }
}

/** Emits every event; answers when the stream has ended. */
async function stream<T>(events: Events<T>, call: Call, wire: (event: T) => unknown = (event) => event) {
  for await (const event of events) call.emit(wire(event))
}

/** Things that have an identity on this side and a number on the other. */
class Handles<T> {
  readonly #all = new Map<number, T>()
  readonly #operation: string
  #last = 0

  constructor(operation: string) {
    this.#operation = operation
  }

  add(thing: T): number {
    this.#last += 1
    this.#all.set(this.#last, thing)
    return this.#last
  }

  get(id: number): T {
    const found = this.#all.get(id)
    if (found !== undefined) return found
    const fields = { code: 'EBADF', operation: this.#operation, subject: String(id) } as const
    throw new SysError({ ...fields, message: 'no such handle' })
  }
}

export class HostServer {
  readonly #operations: ReadonlyMap<string, Operation>
  readonly #answers: Answers
  readonly #calls = new Map<number, AbortController>()
  /** Names of the operations that were called. */
  readonly called = new Set<string>()

  constructor(sys: Sys, answers: Answers) {
    this.#operations = new Map(Object.entries({ ...rooms(sys), ...handles(sys) }))
    this.#answers = answers
  }

  call(id: number, operation: string, args: string): void {
    this.called.add(operation)
    const abort = new AbortController()
    this.#calls.set(id, abort)
    const answer = (ok: boolean, value: unknown) => {
      this.#calls.delete(id)
      this.#answers.onAnswer(id, ok, JSON.stringify(value ?? null))
    }
    const emit = (event: unknown) => this.#answers.onEvent(id, JSON.stringify(event))
    this.#act(operation, args, { signal: abort.signal, emit }).then(
      (value) => answer(true, value),
      (error: unknown) => answer(false, fieldsOf(error, operation)),
    )
  }

  cancel(id: number): void {
    this.#calls.get(id)?.abort()
  }

  async #act(name: string, args: string, call: Call): Promise<unknown> {
    const operation = this.#operations.get(name)
    if (operation !== undefined) return operation(args, call)
    throw new SysError({ code: 'ENOSYS', operation: name, subject: name, message: 'no such operation' })
  }
}

function fieldsOf(error: unknown, operation: string): SysErrorFields {
  if (!(error instanceof SysError)) {
    const message = error instanceof Error ? `${error.message}\n${error.stack}` : String(error)
    return { code: 'EFAULT', operation, subject: 'the fake machine', message }
  }
  const { code, subject, status, retryAfter, detail } = error
  return {
    ...{ code, operation: error.operation, subject, detail },
    message: error.message.slice(subject.length + 2),
    ...(status === undefined ? {} : { status }),
    ...(retryAfter === undefined ? {} : { retryAfter }),
  }
}

type Path = { readonly path: string }
type Target = { readonly source: string; readonly target: string; readonly options?: readonly string[] }
type LinkName = { readonly link: string }

/** What needs nothing remembered between calls. */
function rooms(sys: Sys): Readonly<Record<string, Operation>> {
  const { clock, files, mounts, modules, devices, network, pipelines, packages, consoles, supervisor } = sys
  return {
    'clock.setWall': op((a: { milliseconds: number }) => clock.setWall(a.milliseconds)),
    'clock.sleep': op((a: { milliseconds: number }, { signal }) => clock.sleep(a.milliseconds, signal)),

    'files.readText': op((a: Path) => files.readText(a.path)),
    'files.readTexts': op(async (a: { paths: string[] }) =>
      Object.fromEntries(await files.readTexts(a.paths)),
    ),
    'files.writeText': op((a: Path & { text: string; mode?: number; append?: boolean }) =>
      files.writeText(a.path, a.text, a),
    ),
    'files.status': op((a: Path) => files.status(a.path)),
    'files.list': op((a: { directory: string }) => files.list(a.directory)),
    'files.makeDirectory': op((a: Path & { mode?: number }) => files.makeDirectory(a.path, a.mode)),
    'files.remove': op((a: Path) => files.remove(a.path)),
    'files.rename': op((a: { from: string; to: string }) => files.rename(a.from, a.to)),
    'files.symlink': op((a: Path & { target: string }) => files.symlink(a.target, a.path)),
    'files.readLink': op((a: Path) => files.readLink(a.path)),
    'files.setMode': op((a: Path & { mode: number }) => files.setMode(a.path, a.mode)),
    'files.copy': op((a: { from: string; to: string }) => files.copy(a.from, a.to)),
    'files.copyTree': op((a: { from: string; to: string }) => files.copyTree(a.from, a.to)),
    'files.resolveIn': op((a: Path & { root: string }) => files.resolveIn(a.root, a.path)),
    'files.space': op((a: Path) => files.space(a.path)),
    'files.sync': op(() => files.sync()),

    'mounts.mount': op((a: MountRequest) => mounts.mount(a)),
    'mounts.bind': op((a: Target) => mounts.bind(a.source, a.target, a.options)),
    'mounts.remount': op((a: { target: string; options: string[] }) => mounts.remount(a.target, a.options)),
    'mounts.move': op((a: Target) => mounts.move(a.source, a.target)),
    'mounts.unmount': op((a: { target: string; lazy?: boolean }) => mounts.unmount(a.target, a)),
    'mounts.list': op(() => mounts.list()),

    'modules.match': op((a: { modaliases: string[] }) => modules.match(a.modaliases)),
    'modules.load': op((a: { name: string; parameters?: string }) => modules.load(a.name, a.parameters)),
    'devices.list': op(() => devices.list()),
    'devices.watch': op((_: object, call) => stream(devices.watch(call.signal), call)),

    'devices.probe': op((a: Path & { timeoutMs: number }) => devices.probe(a.path, a.timeoutMs)),
    'devices.attachLoop': op((a: { file: string; readOnly: boolean; partitions?: boolean }) =>
      devices.attachLoop(a.file, a),
    ),
    'devices.detachLoop': op((a: { device: string }) => devices.detachLoop(a.device)),

    'network.links': op(() => network.links()),
    'network.watchLinks': op((_: object, call) => stream(network.watchLinks(call.signal), call)),
    'network.setLink': op((a: LinkChange & { name: string }) => network.setLink(a.name, a)),
    'network.addLink': op((a: { link: NewLink }) => network.addLink(a.link)),
    'network.addAddress': op((a: LinkName & { address: { address: string; prefixLength: number } }) =>
      network.addAddress(a.link, a.address),
    ),
    'network.watchAddresses': op((a: LinkName, call) =>
      stream(network.watchAddresses(a.link, call.signal), call),
    ),
    'network.flush': op((a: LinkName) => network.flush(a.link)),
    'network.addRoute': op((a: LinkName & { route: { destination: string } }) =>
      network.addRoute(a.link, a.route),
    ),
    'network.resolve': op((a: { name: string; timeoutMs: number }) => network.resolve(a.name, a.timeoutMs)),
    'network.answers': op((a: LinkName & { address: string; port: number; timeoutMs: number }, { signal }) =>
      network.answers(a.link, a.address, a.port, a.timeoutMs, signal),
    ),
    'network.arpProbe': op((a: LinkName & { address: string; timeoutMs: number }) =>
      network.arpProbe(a.link, a.address, a.timeoutMs),
    ),

    'pipelines.run': op((a: Pipeline, { signal, emit }) => pipelines.run(a, { signal, onProgress: emit })),

    'packages.verifyIndex': op((a: { index: number; keys: Record<string, string> }) =>
      packages.verifyIndex(a.index, new Map(Object.entries(a.keys))),
    ),
    'packages.lookup': op((a: { index: number; names: string[] }) => packages.lookup(a.index, a.names)),
    'packages.installIf': op((a: { index: number; names: string[] }) => packages.installIf(a.index, a.names)),
    'packages.saveIndex': op((a: { index: number; directory: string; url: string }) =>
      packages.saveIndex(a.index, a.directory, a.url),
    ),
    'packages.closeIndex': op((a: { index: number }) => packages.closeIndex(a.index)),
    'packages.openDatabase': op((a: { root: string; keep: string[] }) =>
      packages.openDatabase(a.root, a.keep),
    ),
    'packages.commit': op((a: { database: number } & Parameters<typeof packages.commit>[1]) =>
      packages.commit(a.database, a),
    ),
    'packages.enter': op((a: { database: number } & Parameters<typeof packages.enter>[1]) =>
      packages.enter(a.database, a),
    ),
    'packages.extractScript': op((a: Path & { stage: number; script: string }) =>
      packages.extractScript(a.stage, a.script, a.path),
    ),
    'packages.discard': op((a: { stage: number }) => packages.discard(a.stage)),
    'packages.extractInstalledScript': op((a: Path & { database: number; name: string; script: string }) =>
      packages.extractInstalledScript(a.database, a.name, a.script, a.path),
    ),
    'packages.settleDirectories': op((a: { database: number }) => packages.settleDirectories(a.database)),
    'packages.writeDatabase': op((a: { database: number; broken: string[]; untagged: string[] }) =>
      packages.writeDatabase(a.database, a.broken, a.untagged),
    ),

    'consoles.list': op(() => consoles.list()),
    'consoles.ask': op((a: Question, { signal }) => consoles.ask(a, signal)),
    'consoles.setKeymap': op((a: Path) => consoles.setKeymap(a.path)),
    'consoles.write': op((a: { device: string; text: string }) => consoles.write(a.device, a.text)),
    'consoles.setSpeed': op((a: { device: string; baud: number }) => consoles.setSpeed(a.device, a.baud)),
    'consoles.idle': op((a: { device: string }) => consoles.idle(a.device)),
    'consoles.kernelLog': op((a: { since?: number }) => consoles.kernelLog(a.since)),

    'supervisor.setPolicy': op((a: Parameters<typeof supervisor.setPolicy>[0]) => supervisor.setPolicy(a)),
    'supervisor.note': op((a: { text: string }) => supervisor.note(a.text)),
    'supervisor.handoff': op((a: Parameters<typeof supervisor.handoff>[0]) => supervisor.handoff(a)),
    'supervisor.reboot': op((a: { how: 'reboot' | 'poweroff' }) => supervisor.reboot(a.how)),
  }
}

/** What opens something that later calls name by its number. */
function handles({ network, processes, supervisor }: Sys): Readonly<Record<string, Operation>> {
  const sockets = new Handles<DhcpSocket>('network.dhcpSend')
  const datagrams = new Handles<DatagramSocket>('network.datagramSend')
  const sessions = new Handles<ShellSession>('processes.sessionEnded')
  const commands = new Handles<ShellCommand>('supervisor.answer')
  type Socket = { readonly socket: number }
  type Session = { readonly session: number }
  return {
    'network.openDhcp': op(async (a: LinkName) => ({ socket: sockets.add(await network.openDhcp(a.link)) })),
    'network.dhcpSend': op((a: Socket & { message: DhcpMessage; to?: string }) =>
      sockets.get(a.socket).send(a.message, a.to),
    ),
    'network.dhcpReceive': op((a: Socket & { deadlineMs: number }, { signal }) =>
      sockets.get(a.socket).receive(a.deadlineMs, signal),
    ),
    'network.dhcpClose': op((a: Socket) => sockets.get(a.socket).close()),
    'network.openRouterDiscovery': op(async (a: LinkName) => ({
      socket: datagrams.add(await network.openRouterDiscovery(a.link)),
    })),
    'network.openDhcp6': op(async (a: LinkName) => ({
      socket: datagrams.add(await network.openDhcp6(a.link)),
    })),
    'network.datagramSend': op((a: Socket & { bytes: string; to: string }) =>
      datagrams.get(a.socket).send(a.bytes, a.to),
    ),
    'network.datagramReceive': op((a: Socket & { deadlineMs: number }, { signal }) =>
      datagrams.get(a.socket).receive(a.deadlineMs, signal),
    ),
    'network.datagramClose': op((a: Socket) => datagrams.get(a.socket).close()),

    'processes.run': op((a: RunRequest, { signal }) => processes.run(a, signal)),
    'processes.onConsole': op(
      async (a: { device: string; argv: string[]; environment: Record<string, string> }) => ({
        session: sessions.add(await processes.onConsole(a.device, a.argv, a.environment)),
      }),
    ),
    'processes.sessionEnded': op((a: Session) => sessions.get(a.session).ended),
    'processes.sessionClose': op((a: Session) => sessions.get(a.session).close()),

    'supervisor.commands': op((_: object, call) =>
      stream(supervisor.commands(call.signal), call, (command) => ({
        id: commands.add(command),
        argv: command.argv,
      })),
    ),
    'supervisor.answer': op((a: { id: number; text: string; status: number }) =>
      commands.get(a.id).answer(a.text, a.status),
    ),
  }
}
