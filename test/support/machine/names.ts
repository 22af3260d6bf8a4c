/** The fake machine's resolver: what a host's name resolves to, and why not. */

import type { IpAddress } from '../../../src/sys/index.ts'
import type { FakeFiles } from './files.ts'
import type { FakeNetwork } from './network.ts'

/** Where the names lead that no test says anything of. */
const ELSEWHERE: IpAddress = '198.51.100.1'

export type Lookup =
  | { readonly kind: 'address'; readonly address: IpAddress }
  | { readonly kind: 'unknown' }
  /** `asked`: questions leave the machine, and nothing comes back. */
  | { readonly kind: 'unanswered'; readonly asked: boolean }

export class Names {
  readonly #files: FakeFiles
  readonly #network: FakeNetwork | undefined
  readonly #addresses: Readonly<Record<string, IpAddress>>

  /** `network`: what a question needs to get through; without one, everything does. */
  constructor(
    files: FakeFiles,
    network: FakeNetwork | undefined,
    addresses: Readonly<Record<string, IpAddress>>,
  ) {
    this.#files = files
    this.#network = network
    this.#addresses = addresses
  }

  lookup(name: string): Lookup {
    if (/^\d+\.\d+\.\d+\.\d+$/.test(name)) return { kind: 'address', address: name }
    // In a URL it is in brackets.
    if (name.includes(':')) return { kind: 'address', address: name.replace(/^\[(.*)\]$/, '$1') }
    const network = this.#network
    if (network !== undefined) {
      const lines = (this.#files.text('/etc/resolv.conf') ?? '').match(/^nameserver\s+\S+/gm) ?? []
      const servers = lines.map((line) => (line.split(/\s+/)[1] ?? '').replace(/%.*$/, ''))
      if (!servers.some((server) => network.reaches(server))) {
        return { kind: 'unanswered', asked: servers.some((server) => network.routed(server)) }
      }
    }
    const address = this.#addresses[name] ?? ELSEWHERE
    return address === '' ? { kind: 'unknown' } : { kind: 'address', address }
  }
}
