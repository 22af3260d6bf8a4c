/**
 * The lab: real servers for guests, in a network namespace of their own: dnsmasq (DHCP, TFTP, DNS), NFS-Ganesha
 * (3 and 4.x), nginx, busybox's udhcpd, a web server that fails, a time server. Several may exist at once, all with the same addresses. Needs root (`labIsPossible`).
 *
 *   describeInLab('an NFS root', () => {                      // test/support/lab/describe.ts
 *     let lab: Lab
 *     beforeAll(async () => {
 *       lab = await Lab.start({
 *         http: inject('demo'),
 *         exports: [{ path: tree, pseudo: '/media', access: 'ro' }, { path: old, pseudo: '/old', protocols: [3] }],
 *         dhcp: { rootPath: `${Lab.address}:/media` },
 *       })
 *     })
 *     afterAll(() => lab?.stop())
 *     it('boots', async () => {
 *       const disks = [{ bus: 'nvme', image: await makeFileSystem({ type: 'xfs', files }) }] as const
 *       const guest = await bootGuest({ cards: [{ kind: 'tap', lab }], disks, initrd: inject('fullInitrd'), append })
 *       await lab.http.says(/GET \/apks/, patience)           // an event of a server; then, in mid-boot:
 *       await lab.nfs.kill()                                  // or stop(), and start() again
 *       expect(lab.log('dhcp')).toMatch(/DHCPACK/)
 */

import { mkdirSync, realpathSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type DhcpOptions, dnsmasqConfiguration, type Ipv6Options } from './dnsmasq.ts'
import { type Export, ganeshaConfiguration, ganeshaScript, type NfsOptions } from './ganesha.ts'
import { bridge, Namespace } from './namespace.ts'
import { nginxConfiguration, nginxScript, type SecureOptions } from './nginx.ts'
import { labIsPossible } from './possible.ts'
import { Service } from './service.ts'
import { type SecondDhcpOptions, udhcpdConfiguration, udhcpdScript } from './udhcpd.ts'

export type { DhcpOptions, Ipv6Options } from './dnsmasq.ts'
export type { Export, NfsOptions } from './ganesha.ts'
export { labIsPossible } from './possible.ts'
export type { Service } from './service.ts'

const network = '10.77.0'
const address = `${network}.1`
const secondAddress = `${network}.2`
/** Of the web server that fails. */
const faultyPort = 8090
const prefix6 = 'fd77::'
const address6 = `${prefix6}1`

export interface LabOptions {
  /** A directory that nginx serves at http://10.77.0.1/. */
  readonly http?: string
  /** The same directory over TLS, only for whom this authority signed. PEM files. */
  readonly https?: SecureOptions
  /** None: no NFS server. */
  readonly exports?: readonly Export[]
  /** What the NFS server speaks; false leaves it out in spite of `exports`. */
  readonly nfs?: NfsOptions | boolean
  /** On, unless false. */
  readonly dhcp?: DhcpOptions | false
  /** A second DHCP server on the wire, of another make, at 10.77.0.2. */
  readonly secondDhcp?: SecondDhcpOptions
  /** A directory that a web server which stalls, cuts and lies serves at `Lab.faulty`: test/support/lab/faulty.ts. */
  readonly faulty?: string
  /** A time server, which leases then name; its time is so many seconds ahead of this machine's: test/support/lab/ntp.ts. */
  readonly ntpAhead?: number
  /** A guest's port forwards only so long after it is plugged in, as the spanning tree of a switch has it (802.1D): 8 to 60. */
  readonly spanningTreeSeconds?: number
  /** A router, and the lab has `Lab.address6`, too. With `dhcp: false` guests know of no IPv4. */
  readonly ipv6?: Ipv6Options
  /** A directory. */
  readonly tftp?: string
  /** Addresses by name; the lease then names the lab as DNS server. */
  readonly dns?: Readonly<Record<string, string>>
}

/** `dhcp` is dnsmasq, whatever else it serves. */
export type ServiceName = 'dhcp' | 'second-dhcp' | 'http' | 'faulty' | 'nfs' | 'ntp'

export class Lab {
  /** The same in every lab, so that a command line can be written before there is one. */
  static readonly address = address
  static readonly address6 = address6
  static readonly faulty = `http://${address}:${faultyPort}`
  readonly address = address
  readonly #namespace: Namespace
  readonly #services = new Map<ServiceName, Service>()
  readonly #six: boolean

  private constructor(namespace: Namespace, six: boolean) {
    this.#namespace = namespace
    this.#six = six
  }

  /** Resolves when every server is ready; rejects, with nothing left behind, with the log's end of the one that is not. */
  static async start(options: LabOptions = {}): Promise<Lab> {
    const possible = labIsPossible()
    if (!possible.ok) throw new Error(`a lab cannot be here: it needs ${possible.why}`)
    const namespace = await Namespace.create(`${address}/24`)
    const lab = new Lab(namespace, options.ipv6 !== undefined)
    try {
      mkdirSync(namespace.directory, { recursive: true })
      // It asks no neighbour for it, and so may be used at once.
      const six = ['addr', 'add', `${address6}/64`, 'dev', bridge, 'nodad']
      if (options.ipv6 !== undefined) {
        await lab.run('ip', ...six)
        // Else its kernel says of itself to be no router, and guests drop the route that dnsmasq advertises (RFC 4861, 7.2.5).
        await lab.run('sh', '-c', 'echo 1 > /proc/sys/net/ipv6/conf/all/forwarding')
      }
      lab.#furnish(options)
      if (options.secondDhcp !== undefined) await lab.#furnishSecond(options.secondDhcp)
      // The servers' own ports forward already, and go on.
      if (options.spanningTreeSeconds !== undefined) await namespace.lookForLoops(options.spanningTreeSeconds)
      await Promise.all([...lab.#services.values()].map((service) => service.start()))
      return lab
    } catch (error) {
      await lab.stop()
      throw error
    }
  }

  /** Of the namespace, for `ip netns exec`. */
  get namespace(): string {
    return this.#namespace.name
  }

  get dhcp(): Service {
    return this.#service('dhcp')
  }

  get secondDhcp(): Service {
    return this.#service('second-dhcp')
  }

  get http(): Service {
    return this.#service('http')
  }

  get nfs(): Service {
    return this.#service('nfs')
  }

  /** Everything that a server said. */
  log(name: ServiceName): string {
    return this.#service(name).log
  }

  /** A new tap on the lab's bridge, for a guest's card. */
  addTap(): Promise<string> {
    return this.#namespace.addTap()
  }

  /** Guests' ports begin anew: with `spanningTreeSeconds` they forward only so long after this. */
  replug(): Promise<void> {
    return this.#namespace.replugTaps()
  }

  /** The NFS server again, with other exports or other versions. Its service is another one then. */
  async serveNfs(options: NfsOptions & { readonly exports: readonly Export[] }): Promise<void> {
    await this.nfs.kill()
    this.#furnishNfs(options, options.exports)
    await this.nfs.start()
  }

  /** Runs a program in the lab's network; what it printed. */
  run(program: string, ...words: readonly string[]): Promise<string> {
    return this.#namespace.run(program, ...words)
  }

  /** Ends the servers and takes the namespace away. Guests in it are to be stopped before. */
  async stop(): Promise<void> {
    await Promise.all([...this.#services.values()].map((service) => service.kill()))
    await this.#namespace.remove()
  }

  #service(name: ServiceName): Service {
    const service = this.#services.get(name)
    if (service === undefined) throw new Error(`this lab was started without ${name}`)
    return service
  }

  #furnish(options: LabOptions): void {
    const { dhcp = {}, dns, exports = [], faulty, http, https, ipv6, nfs = true, ntpAhead, tftp } = options
    const { directory } = this.#namespace
    if (dhcp !== false || dns !== undefined || tftp !== undefined || ipv6 !== undefined) {
      const six = ipv6 && { ...ipv6, address: address6, prefix: prefix6 }
      const ntp = ntpAhead !== undefined
      const served = { dhcp, dns, ipv6: six, ntp, tftp: tftp && realpathSync(tftp) }
      const text = dnsmasqConfiguration({ address, network, directory, ...served })
      const configuration = this.#write('dnsmasq.conf', text)
      // Not as process 1, which the kernel ends with this process: dnsmasq drops privileges, and that with them.
      const script = `dnsmasq --keep-in-foreground --conf-file=${configuration}\nexit $?`
      this.#add('dhcp', script, dhcp === false ? /started, version/ : /DHCP, IP range/)
    }
    if (http !== undefined) {
      const addresses = [address, ...(ipv6 ? [`[${address6}]`] : [])]
      const text = nginxConfiguration(addresses, realpathSync(http), directory, https)
      this.#add('http', nginxScript(this.#write('nginx.conf', text)), /OS: Linux/)
    }
    if (faulty !== undefined) this.#addProgram('faulty', address, String(faultyPort), realpathSync(faulty))
    if (ntpAhead !== undefined) this.#addProgram('ntp', String(ntpAhead))
    if (nfs !== false && exports.length > 0) this.#furnishNfs(nfs === true ? {} : nfs, exports)
  }

  async #furnishSecond(options: SecondDhcpOptions): Promise<void> {
    const { directory } = this.#namespace
    const place = { device: 'eth0', network, directory }
    const configuration = this.#write('udhcpd.conf', udhcpdConfiguration(options, place))
    const neighbour = await this.#namespace.addNeighbour(`${secondAddress}/24`)
    this.#add('second-dhcp', udhcpdScript(configuration, directory), /started, v/, neighbour)
  }

  #furnishNfs(options: NfsOptions, exports: readonly Export[]): void {
    const real = exports.map((one) => ({ ...one, path: realpathSync(one.path) }))
    // `::` is every address of either family.
    const text = ganeshaConfiguration({ ...options, address: this.#six ? '::' : address, exports: real })
    this.#add('nfs', ganeshaScript(this.#write('ganesha.conf', text)), /NFS SERVER INITIALIZED/)
  }

  #write(name: string, text: string): string {
    const path = join(this.#namespace.directory, name)
    writeFileSync(path, text)
    return path
  }

  /** One of this directory. */
  #addProgram(name: 'faulty' | 'ntp', ...words: readonly string[]): void {
    const program = [process.execPath, join(import.meta.dirname, `${name}.ts`), ...words]
    this.#add(name, `exec ${program.map((word) => `'${word}'`).join(' ')}`, /^ready at/m)
  }

  #add(name: ServiceName, script: string, ready: RegExp, namespace = this.namespace): void {
    this.#services.set(name, new Service({ name, namespace, script, ready }))
  }
}
