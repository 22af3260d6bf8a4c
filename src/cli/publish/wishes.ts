/** What is to be published, read from a configuration: parsed once, paths absolute. */

import { isAbsolute, resolve } from 'node:path'
import { parseBootInterface } from '../../boot/ip-parameter.ts'
import { type BootSource, readBoot } from './boot-source.ts'
import { type At, Fields } from './fields.ts'
import { isIn, readNetwork } from './network.ts'
import type { Loader, MacAddress, Network, Tls } from './site.ts'
import { names, wordsOf } from './words.ts'

export interface Wishes {
  readonly boot: BootSource
  /** With a slash at its end. */
  readonly url: string | undefined
  readonly tls: Tls | undefined
  readonly words: readonly string[]
  readonly ip: 'dhcp' | 'lease' | undefined
  readonly overlay: Place | undefined
  readonly repositories: readonly Place[]
  readonly modloop: Place | undefined
  readonly image: Place | undefined
  readonly lock: string | undefined
  readonly nfsRoot: string | undefined
  /** Undefined: those that are installed. */
  readonly loaders: readonly Loader[] | undefined
  readonly network: Network | undefined
  readonly machines: readonly MachineWishes[]
  readonly sign: string | undefined
}

/** `path`: to be published, absolute. `url`: it is there already. */
export type Place =
  | { readonly kind: 'path'; readonly path: string }
  | { readonly kind: 'url'; readonly url: string }

export interface MachineWishes {
  readonly mac: MacAddress
  readonly words: readonly string[]
  readonly overlay: Place | undefined
  readonly hostname: string | undefined
  readonly address: string | undefined
}

export const allLoaders: readonly Loader[] = ['ipxe', 'pxelinux', 'grub']

/** `directory`: what its paths are relative to. Each problem is a line. */
export function readWishes(
  value: unknown,
  directory: string,
): { readonly wishes: Wishes; readonly problems: readonly string[] } {
  const problems: string[] = []
  const top = new Fields(value, '', problems)
  const at = (path: string) => resolve(directory, path)
  const boot = readBoot(top, at)
  const network = top.object('network')
  const own = network === undefined ? undefined : readNetwork(network)
  network?.finish()
  const words = wordsOf(top.text('commandLine') ?? '')
  const ip = top.choice('ip', ['dhcp', 'lease'])
  if (ip !== undefined && names(words, 'ip')) top.wrong('ip', 'is given, and commandLine has an ip= too')
  const overlay = readPlace(top, 'overlay', at)
  const image = readPlace(top, 'image', at)
  const nfsRoot = top.text('nfsRoot')
  if (image !== undefined && nfsRoot !== undefined) top.wrong('nfsRoot', 'and image are two roots')
  if (nfsRoot !== undefined && !isAbsolute(nfsRoot))
    top.wrong('nfsRoot', `is '${nfsRoot}', and not an absolute path of the server`)
  const lock = top.text('lock')
  const sign = top.text('sign')
  const url = readUrl(top, own)
  const wishes: Wishes = {
    boot,
    url,
    tls: readTls(top, at, url),
    words,
    ip,
    overlay,
    repositories: (top.texts('repositories') ?? []).map((text) => placeOf(text, at)),
    modloop: readPlace(top, 'modloop', at),
    image,
    lock: lock === undefined ? undefined : at(lock),
    nfsRoot,
    loaders: top.choices('loaders', allLoaders),
    network: own,
    machines: top
      .entries('machines')
      .flatMap(([name, fields]) => readMachine(name, fields, at, top, own) ?? []),
    sign: sign === undefined ? undefined : at(sign),
  }
  checkGenerated(top, wishes)
  checkTwice(top, wishes.machines)
  top.finish()
  return { wishes, problems }
}

function readPlace(fields: Fields, key: string, at: At): Place | undefined {
  const text = fields.text(key)
  return text === undefined ? undefined : placeOf(text, at)
}

function placeOf(text: string, at: At): Place {
  return /^[a-z][a-z\d+.-]*:\/\//i.test(text) ? { kind: 'url', url: text } : { kind: 'path', path: at(text) }
}

function readUrl(top: Fields, network: Network | undefined): string | undefined {
  const text = top.text('url')
  if (text === undefined) return network === undefined ? undefined : `http://${network.server}/`
  if (URL.canParse(text)) {
    const { protocol, search, hash, href } = new URL(text)
    const web = protocol === 'http:' || protocol === 'https:'
    if (web && search === '' && hash === '') return href.endsWith('/') ? href : `${href}/`
  }
  top.wrong('url', `is '${text}', and not the http: or https: URL of a directory`)
  return undefined
}

function readTls(top: Fields, at: At, url: string | undefined): Tls | undefined {
  const fields = top.object('tls')
  if (fields === undefined) return undefined
  const certificate = at(fields.needed('certificate', 'a PEM file: which certificate does the server show?'))
  const key = at(fields.needed('key', 'a PEM file: the key of which certificate?'))
  fields.finish()
  if (url?.startsWith('https:') !== true)
    top.wrong('tls', `is given, and url is ${url ?? 'not'}: https:// is what it is for`)
  return { certificate, key }
}

function readMachine(
  name: string,
  fields: Fields,
  at: At,
  top: Fields,
  network: Network | undefined,
): MachineWishes | undefined {
  const mac = /^[0-9a-f]{2}([:-])[0-9a-f]{2}(\1[0-9a-f]{2}){4}$/i.test(name)
    ? parseBootInterface(name)
    : undefined
  if (mac === undefined) top.wrong(`machines['${name}']`, 'is no MAC address: 52:54:00:12:34:56 is one')
  const hostname = fields.text('hostname')
  if (hostname !== undefined && !/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/i.test(hostname))
    fields.wrong('hostname', `is '${hostname}', and not a host name without a domain`)
  const address = fields.text('address')
  if (address !== undefined && network === undefined)
    fields.wrong('address', 'is given, and there is no network: nobody hands it out')
  else if (address !== undefined && network !== undefined && !isIn(network, address))
    fields.wrong('address', `is '${address}', and not of ${network.subnet}/${network.prefixLength}`)
  const machine = {
    words: wordsOf(fields.text('commandLine') ?? ''),
    overlay: readPlace(fields, 'overlay', at),
    hostname,
    address,
  }
  fields.finish()
  return mac === undefined ? undefined : { mac, ...machine }
}

/** A parameter that the configuration's other keys make would be there twice, and the last would count. */
function checkGenerated(top: Fields, wishes: Wishes): void {
  const made = [
    { key: 'overlay', given: wishes.overlay !== undefined, parameter: 'apkovl' },
    { key: 'repositories', given: wishes.repositories.length > 0, parameter: 'alpine_repo' },
    { key: 'modloop', given: wishes.modloop !== undefined, parameter: 'modloop' },
    { key: 'image', given: wishes.image !== undefined, parameter: 'root' },
    { key: 'nfsRoot', given: wishes.nfsRoot !== undefined, parameter: 'root' },
    { key: 'lock', given: wishes.lock !== undefined, parameter: 'diskless.lock' },
  ]
  for (const { key, given, parameter } of made)
    if (given && names(wishes.words, parameter))
      top.wrong(key, `is given, and commandLine has ${parameter}= too: which of the two?`)
}

function checkTwice(top: Fields, machines: readonly MachineWishes[]): void {
  for (const key of ['mac', 'hostname', 'address'] as const) {
    const seen = new Set<string>()
    for (const machine of machines) {
      const value = machine[key]
      if (value !== undefined && seen.has(value)) top.wrong('machines', `has ${value} twice`)
      if (value !== undefined) seen.add(value)
    }
  }
}
