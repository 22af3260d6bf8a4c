/** `Sys` over the native host: each method is the operation `<room>.<method>` with its parameters by name. */

import type {
  Datagram,
  DatagramSocket,
  DhcpMessage,
  DhcpSocket,
  Link,
  LinkAddress,
  Network,
} from '../sys/network.ts'
import type { Break, PipelineOptions, Progress } from '../sys/pipeline.ts'
import type * as sys from '../sys/sys.ts'
import { type Host, Wire } from './wire.ts'

declare global {
  /** Present inside the native host only. */
  var host: Host
}

/** The machine itself. `host` is the native host's global. */
export function hostSys(host: Host): sys.Sys {
  const wire = new Wire(host)
  return {
    clock: clock(host, wire),
    files: files(wire),
    mounts: mounts(wire),
    modules: {
      match: (modaliases) => wire.call('modules.match', { modaliases }),
      load: (name, parameters) => wire.call('modules.load', { name, parameters }),
      discardLoaded: () => wire.call('modules.discardLoaded', {}),
    },
    devices: {
      list: () => wire.call('devices.list', {}),
      watch: (signal) => wire.stream('devices.watch', {}, signal, (event: sys.Uevent) => event),
      probe: (path, timeoutMs) => wire.call('devices.probe', { path, timeoutMs }),
      attachLoop: (file, options) => wire.call('devices.attachLoop', { file, ...options }),
      detachLoop: (device) => wire.call('devices.detachLoop', { device }),
    },
    network: network(wire),
    pipelines: {
      run: (pipeline, options: PipelineOptions = {}) => {
        const { signal, onProgress, onBreak } = options
        const onEvent = (event: Progress | { readonly broken: Break }) =>
          'broken' in event ? onBreak?.(event.broken) : onProgress?.(event)
        return wire.call('pipelines.run', pipeline, { signal, onEvent, abort: 'when stopped' })
      },
    },
    packages: packages(wire),
    processes: processes(wire),
    consoles: {
      list: () => wire.call('consoles.list', {}),
      ask: (question, signal) => wire.call('consoles.ask', question, { signal }),
      setKeymap: (path) => wire.call('consoles.setKeymap', { path }),
      write: (device, text) => wire.call('consoles.write', { device, text }),
      setSpeed: (device, baud) => wire.call('consoles.setSpeed', { device, baud }),
      idle: (device) => wire.call('consoles.idle', { device }),
      kernelLog: (since) => wire.call('consoles.kernelLog', { since }),
    },
    supervisor: supervisor(wire),
  }
}

function clock(host: Host, wire: Wire): sys.Clock {
  return {
    now: () => host.now(),
    started: host.started,
    wall: () => host.wall(),
    setWall: (milliseconds) => wire.call('clock.setWall', { milliseconds }),
    sleep: (milliseconds, signal) => wire.call('clock.sleep', { milliseconds }, { signal }),
    random: () => host.random(),
  }
}

function files(wire: Wire): sys.Files {
  const orUndefined = <T>(value: T | null): T | undefined => value ?? undefined
  return {
    readText: (path) => wire.call('files.readText', { path }),
    readTexts: async (paths) =>
      new Map(Object.entries(await wire.call<Record<string, string>>('files.readTexts', { paths }))),
    writeText: (path, text, options = {}) => wire.call('files.writeText', { path, text, ...options }),
    status: async (path) => orUndefined(await wire.call<sys.FileStatus | null>('files.status', { path })),
    list: (directory) => wire.call('files.list', { directory }),
    makeDirectory: (path, mode) => wire.call('files.makeDirectory', { path, mode }),
    remove: (path) => wire.call('files.remove', { path }),
    rename: (from, to) => wire.call('files.rename', { from, to }),
    symlink: (target, path) => wire.call('files.symlink', { target, path }),
    readLink: (path) => wire.call('files.readLink', { path }),
    setMode: (path, mode) => wire.call('files.setMode', { path, mode }),
    copy: (from, to) => wire.call('files.copy', { from, to }),
    copyTree: (from, to) => wire.call('files.copyTree', { from, to }),
    resolveIn: async (root, path) =>
      orUndefined(await wire.call<string | null>('files.resolveIn', { root, path })),
    space: (path) => wire.call('files.space', { path }),
    sync: () => wire.call('files.sync', {}),
  }
}

function mounts(wire: Wire): sys.Mounts {
  return {
    mount: (request) => wire.call('mounts.mount', request),
    bind: (source, target, options) => wire.call('mounts.bind', { source, target, options }),
    remount: (target, options) => wire.call('mounts.remount', { target, options }),
    move: (source, target) => wire.call('mounts.move', { source, target }),
    unmount: (target, options = {}) => wire.call('mounts.unmount', { target, ...options }),
    list: () => wire.call('mounts.list', {}),
  }
}

function network(wire: Wire): Network {
  return {
    links: () => wire.call('network.links', {}),
    watchLinks: (signal) => wire.stream('network.watchLinks', {}, signal, (link: Link) => link),
    setLink: (name, change) => wire.call('network.setLink', { name, ...change }),
    addLink: (link) => wire.call('network.addLink', { link }),
    addAddress: (link, address) => wire.call('network.addAddress', { link, address }),
    watchAddresses: (link, signal) =>
      wire.stream('network.watchAddresses', { link }, signal, (all: readonly LinkAddress[]) => all),
    flush: (link) => wire.call('network.flush', { link }),
    addRoute: (link, route) => wire.call('network.addRoute', { link, route }),
    openDhcp: async (link) => dhcpSocket(wire, await wire.call<Socket>('network.openDhcp', { link })),
    openRouterDiscovery: async (link) =>
      datagramSocket(wire, await wire.call<Socket>('network.openRouterDiscovery', { link })),
    openDhcp6: async (link) => datagramSocket(wire, await wire.call<Socket>('network.openDhcp6', { link })),
    resolve: (name, timeoutMs) => wire.call('network.resolve', { name, timeoutMs }),
    answers: (link, address, port, timeoutMs, signal) =>
      wire.call('network.answers', { link, address, port, timeoutMs }, { signal }),
    askTime: (server, timeoutMs) => wire.call('network.askTime', { server, timeoutMs }),
    askDate: (request) => wire.call('network.askDate', request),
    arpProbe: (link, address, timeoutMs) => wire.call('network.arpProbe', { link, address, timeoutMs }),
  }
}

interface Socket {
  readonly socket: number
}

function datagramSocket(wire: Wire, { socket }: Socket): DatagramSocket {
  return {
    send: (bytes, to) => wire.call('network.datagramSend', { socket, bytes, to }),
    receive: async (deadlineMs, signal) =>
      (await wire.call<Datagram | null>('network.datagramReceive', { socket, deadlineMs }, { signal })) ??
      undefined,
    close: () => wire.call('network.datagramClose', { socket }),
  }
}

function dhcpSocket(wire: Wire, { socket }: Socket): DhcpSocket {
  return {
    send: (message, to) => wire.call('network.dhcpSend', { socket, message, to }),
    receive: async (deadlineMs, signal) =>
      (await wire.call<DhcpMessage | null>('network.dhcpReceive', { socket, deadlineMs }, { signal })) ??
      undefined,
    close: () => wire.call('network.dhcpClose', { socket }),
  }
}

function packages(wire: Wire): sys.Packages {
  return {
    verifyIndex: (index, keys) =>
      wire.call('packages.verifyIndex', { index, keys: Object.fromEntries(keys) }),
    lookup: (index, names) => wire.call('packages.lookup', { index, names }),
    installIf: (index, names) => wire.call('packages.installIf', { index, names }),
    saveIndex: (index, directory, url) => wire.call('packages.saveIndex', { index, directory, url }),
    closeIndex: (index) => wire.call('packages.closeIndex', { index }),
    openDatabase: (root, keep) => wire.call('packages.openDatabase', { root, keep }),
    commit: (database, request) => wire.call('packages.commit', { database, ...request }),
    enter: (database, request) => wire.call('packages.enter', { database, ...request }),
    extractScript: (stage, script, path) => wire.call('packages.extractScript', { stage, script, path }),
    extractInstalledScript: (database, name, script, path) =>
      wire.call('packages.extractInstalledScript', { database, name, script, path }),
    settleDirectories: (database) => wire.call('packages.settleDirectories', { database }),
    discard: (stage) => wire.call('packages.discard', { stage }),
    writeDatabase: (database, broken, untagged) =>
      wire.call('packages.writeDatabase', { database, broken, untagged }),
  }
}

function processes(wire: Wire): sys.Processes {
  return {
    run: (request, signal) => wire.call('processes.run', request, { signal, abort: 'when stopped' }),
    onConsole: async (device, argv, environment) => {
      const session = await wire.call<{ session: number }>('processes.onConsole', {
        device,
        argv,
        environment,
      })
      return {
        ended: wire.call('processes.sessionEnded', session),
        close: () => wire.call('processes.sessionClose', session),
      }
    },
  }
}

function supervisor(wire: Wire): sys.Supervisor {
  const command = ({ id, argv }: { readonly id: number; readonly argv: readonly string[] }) => ({
    argv,
    answer: (text: string, status: number) => wire.call<void>('supervisor.answer', { id, text, status }),
  })
  return {
    setPolicy: (policy) => wire.call('supervisor.setPolicy', policy),
    note: (text) => wire.call('supervisor.note', { text }),
    commands: (signal) => wire.stream('supervisor.commands', {}, signal, command),
    handoff: (handoff) => wire.call('supervisor.handoff', handoff),
    reboot: (how) => wire.call('supervisor.reboot', { how }),
  }
}
