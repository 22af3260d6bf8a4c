/**
 * `npm run lab`: real servers (dnsmasq, NFS-Ganesha, nginx) in a network namespace, with the demo's repository on all of
 * them. Says what runs where, and stays until Ctrl-C. Besides, in any of these:
 *
 *   --with second-dhcp   busybox's udhcpd beside dnsmasq, with leases of a minute
 *   --with ipv6          a router that advertises, and DHCPv6
 *   --with faulty        a web server that stalls, cuts and lies
 *   --with ntp           a time server an hour ahead, which the lease names
 *   --spanning-tree 30   a port forwards so many seconds after it is plugged in
 *   --wire WORDS         with --boot: the guest's wire, which this process holds: loss=0.2,delay=50,reordered=0.05,
 *                        duplicates=0.01,seed=1, or vlan=5; delay in ms, one way
 *
 *   npm run lab -- --boot [WORD …]   boots a machine in it on this terminal, with words of the kernel command line
 *   npm run lab -- --once            starts it, asks every server, takes it down: exit status 0 when all answered
 */

import { once } from 'node:events'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { build } from '../build/index.ts'
import { Machine } from '../src/cli/boot/machine.ts'
import { rough } from '../src/cli/boot/rough-wire.ts'
import { type Passage, tagged, Wire } from '../src/cli/boot/wire.ts'
import { chainOf } from '../src/sys/index.ts'
import { Lab, type LabOptions } from '../test/support/lab/index.ts'
import { kernelDirectory } from './kernel.ts'
import { projectRoot } from './processes.ts'
import { makeDemo } from './repository/index.ts'
import { password } from './repository/overlay.ts'

const out = join(projectRoot, 'out')
const server = Lab.address

/** What is there only when asked for: its options, and its line in what is printed. */
const more: Readonly<Record<string, (repository: string) => { options: LabOptions; says: string }>> = {
  'second-dhcp': () => ({
    options: { secondDhcp: { leaseSeconds: 60 } },
    says: '  DHCP   10.77.0.2 gives 10.77.0.200 to .220 for a minute    (udhcpd)',
  }),
  ipv6: () => ({
    options: { ipv6: { mode: 'both' } },
    says: `  RA     the prefix fd77::/64, DNS, and DHCPv6 for addresses; the lab is ${Lab.address6}    (dnsmasq)`,
  }),
  ntp: () => ({
    options: { ntpAhead: 3600 },
    says: `  NTP    ${server}, which the lease names (option 42), an hour ahead of this machine`,
  }),
  faulty: (repository) => ({
    options: { faulty: repository },
    says: `  HTTP   ${Lab.faulty}/ and below it stall/, cut/, lie/, reset/, busy/: the same files, each with its fault`,
  }),
}

/** `loss=0.2,delay=50` or `vlan=5`. */
function passageOf(words: string): Passage {
  const given = new Map<string, number>()
  for (const word of words.split(',')) {
    const [, name = '', value = ''] = /^(\w+)=([\d.]+)$/.exec(word) ?? []
    if (!['loss', 'delay', 'reordered', 'duplicates', 'seed', 'vlan'].includes(name))
      throw new Error(`--wire does not know ${word}: loss=, delay=, reordered=, duplicates=, seed=, vlan=`)
    given.set(name, Number(value))
  }
  const vlan = given.get('vlan')
  if (vlan === undefined) return rough({ ...Object.fromEntries(given), delayMs: given.get('delay') ?? 0 })
  if (given.size > 1) throw new Error('--wire either tags (vlan=) or is bad')
  return tagged(vlan)
}

async function main(): Promise<number> {
  const { positionals, values } = parseArgs({
    options: {
      boot: { type: 'boolean', default: false },
      once: { type: 'boolean', default: false },
      with: { type: 'string', multiple: true, default: [] },
      'spanning-tree': { type: 'string' },
      wire: { type: 'string' },
    },
    allowPositionals: true,
  })
  const named = values.with.flatMap((names) => names.split(','))
  const unknown = named.filter((name) => !Object.hasOwn(more, name))
  if (unknown.length > 0) throw new Error(`--with knows ${Object.keys(more).join(', ')}, not ${unknown}`)
  const seconds = values['spanning-tree']
  if (values.wire !== undefined && !values.boot) throw new Error('--wire goes with --boot')
  const passage = values.wire === undefined ? undefined : passageOf(values.wire)
  const demo = await makeDemo(join(out, 'demo'))
  const besides = named.flatMap((name) => more[name]?.(demo.directory) ?? [])
  let added: LabOptions = {}
  for (const { options } of besides) added = { ...added, ...options }
  const files = [`apkovl=http://${server}/{MAC}.apkovl.tar.gz`, `alpine_repo=http://${server}/apks`]
  const boot = await build({
    kernel: await kernelDirectory(),
    modules: ['virtio', 'common-ethernet', 'vlan-bond', 'nfs', 'storage'],
    keys: [demo.keys],
    commandLine: ['console=ttyS0', 'loglevel=4', 'ip=dhcp', ...files].join(' '),
    out: join(out, 'lab', 'boot'),
  })
  const lab = await Lab.start({
    http: demo.directory,
    tftp: boot.out,
    exports: [{ path: demo.directory, pseudo: '/media', access: 'ro' }],
    dhcp: { bootFile: 'boot.ipxe', rootPath: `${server}:/media` },
    ...added,
    ...(seconds === undefined ? {} : { spanningTreeSeconds: Number(seconds) }),
  })
  // Until it is asked to end; the first signal only, so that a second one helps when something hangs.
  const asked = Promise.race(['SIGINT', 'SIGTERM', 'SIGHUP'].map((signal) => once(process, signal)))
  const said = besides.map(({ says }) => says)
  try {
    if (values.once) return await askAll(lab, said)
    if (values.boot) {
      const append = ['console=ttyS0', 'ip=dhcp', ...(positionals.length > 0 ? positionals : files)].join(' ')
      console.log(`${append}\nLog in as root, password ${password}. Ctrl-A X switches the machine off.\n`)
      const start = { by: 'kernel', kernel: boot.image, initrd: boot.initrd, append } as const
      const wire = passage && (await Wire.lay(passage, lab))
      const machine = await Machine.start({
        start,
        memoryMb: 1024,
        cards: [wire === undefined ? { kind: 'tap', lab } : { kind: 'wire', wire }],
        terminal: true,
      })
      const ending = await Promise.race([machine.ended, asked.then(() => 'killed' as const)])
      await machine.stop()
      wire?.cut()
      return ending === 'failed' ? 1 : 0
    }
    console.log(explain(lab, demo.directory, boot.out, said))
    // A promise alone does not keep Node running, the servers do.
    await asked
    return 0
  } finally {
    await lab.stop()
  }
}

function explain(lab: Lab, repository: string, boot: string, besides: readonly string[]): string {
  const lines = besides.map((line) => `\n${line}`).join('')
  return `The network namespace ${lab.namespace}, its server ${server}:
  DHCP   ${server}.50 to .199 of its network, option 17 ${server}:/media, boot file boot.ipxe    (dnsmasq)
  TFTP   ${boot}    (dnsmasq)
  HTTP   http://${server}/    ${repository}    (nginx)
  NFS    ${server}:/media, read-only, 3 and 4.0 to 4.2    ${repository}    (NFS-Ganesha)${lines}

Words for the kernel command line:
  ip=dhcp alpine_dev=nfs:${server}:/media
  ip=dhcp alpine_dev=nfs:${server}:/media,vers=3
  ip=dhcp apkovl=http://${server}/{MAC}.apkovl.tar.gz alpine_repo=http://${server}/apks

A machine with such words, in a lab of its own, on this terminal:
  npm run lab -- --boot WORD …
The same over a bad wire, or a tagged one:
  npm run lab -- --boot --wire loss=0.2,delay=50,reordered=0.05 WORD …
  npm run lab -- --boot --wire vlan=5 ip=dhcp vlan=eth0.5:eth0 WORD …
One from power-on, in this lab, as root:
  ip -n ${lab.namespace} tuntap add guest mode tap && ip -n ${lab.namespace} link set guest master br0 up
  ip netns exec ${lab.namespace} qemu-system-x86_64 -accel tcg -m 1024 -nographic -boot n \\
    -netdev tap,id=n,ifname=guest,script=no,downscript=no -device virtio-net-pci,netdev=n
Look around in it:
  ip netns exec ${lab.namespace} rpcinfo -p ${server}

Ctrl-C takes everything down.`.replace(`${server}.50`, server.replace(/\.1$/, '.50'))
}

/** Every server, from inside. */
async function askAll(lab: Lab, besides: readonly string[]): Promise<number> {
  const services = await lab.run('rpcinfo', '-p', server)
  for (const version of [3, 4])
    if (!new RegExp(`100003 +${version} +tcp +2049`).test(services))
      throw new Error(`NFS ${version} does not answer:\n${services}`)
  const fetched = `const { status } = await fetch('http://${server}/apks/x86_64/APKINDEX.tar.gz'); console.log(status)`
  const status = (await lab.run(process.execPath, '--input-type=module', '--eval', fetched)).trim()
  if (status !== '200') throw new Error(`nginx answers ${status}:\n${lab.log('http')}`)
  console.log(['NFS 3 and 4, HTTP and DHCP are ready.', ...besides].join('\n'))
  return 0
}

process.exitCode = await main().catch((error: unknown) => {
  console.error(`\ndiskless: ${chainOf(error).join('\n  ')}`)
  return 1
})
