/**
 * `npm run lab`: real servers (dnsmasq, NFS-Ganesha, nginx) in a network namespace, with the demo's repository on all of
 * them. Says what runs where, and stays until Ctrl-C.
 *
 *   npm run lab -- --boot [WORD …]   boots a machine in it on this terminal, with words of the kernel command line
 *   npm run lab -- --once            starts it, asks every server, takes it down: exit status 0 when all answered
 */

import { once } from 'node:events'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { build } from '../build/index.ts'
import { chainOf } from '../src/sys/index.ts'
import { Lab } from '../test/support/lab/index.ts'
import { Machine } from '../test/support/qemu/machine.ts'
import { kernelDirectory } from './kernel.ts'
import { projectRoot } from './processes.ts'
import { makeDemo } from './repository/index.ts'
import { password } from './repository/overlay.ts'

const out = join(projectRoot, 'out')
const server = Lab.address

async function main(): Promise<number> {
  const { positionals, values } = parseArgs({
    options: { boot: { type: 'boolean', default: false }, once: { type: 'boolean', default: false } },
    allowPositionals: true,
  })
  const demo = await makeDemo(join(out, 'demo'))
  const files = [`apkovl=http://${server}/{MAC}.apkovl.tar.gz`, `alpine_repo=http://${server}/apks`]
  const boot = await build({
    kernel: await kernelDirectory(),
    modules: ['virtio', 'common-ethernet', 'nfs', 'storage'],
    keys: [demo.keys],
    commandLine: ['console=ttyS0', 'loglevel=4', 'ip=dhcp', ...files].join(' '),
    out: join(out, 'lab', 'boot'),
  })
  const lab = await Lab.start({
    http: demo.directory,
    tftp: boot.out,
    exports: [{ path: demo.directory, pseudo: '/media', access: 'ro' }],
    dhcp: { bootFile: 'boot.ipxe', rootPath: `${server}:/media` },
  })
  // Until it is asked to end; the first signal only, so that a second one helps when something hangs.
  const asked = Promise.race(['SIGINT', 'SIGTERM', 'SIGHUP'].map((signal) => once(process, signal)))
  try {
    if (values.once) return await askAll(lab)
    if (values.boot) {
      const append = ['console=ttyS0', 'ip=dhcp', ...(positionals.length > 0 ? positionals : files)].join(' ')
      console.log(`${append}\nLog in as root, password ${password}. Ctrl-A X switches the machine off.\n`)
      const start = { by: 'kernel', kernel: boot.image, initrd: boot.initrd, append } as const
      const machine = await Machine.start({
        start,
        memoryMb: 1024,
        cards: [{ kind: 'tap', lab }],
        terminal: true,
      })
      const ending = await Promise.race([machine.ended, asked.then(() => 'killed' as const)])
      await machine.stop()
      return ending === 'failed' ? 1 : 0
    }
    console.log(explain(lab, demo.directory, boot.out))
    // A promise alone does not keep Node running, the servers do.
    await asked
    return 0
  } finally {
    await lab.stop()
  }
}

function explain(lab: Lab, repository: string, boot: string): string {
  return `The network namespace ${lab.namespace}, its server ${server}:
  DHCP   ${server}.50 to .199 of its network, option 17 ${server}:/media, boot file boot.ipxe    (dnsmasq)
  TFTP   ${boot}    (dnsmasq)
  HTTP   http://${server}/    ${repository}    (nginx)
  NFS    ${server}:/media, read-only, 3 and 4.0 to 4.2    ${repository}    (NFS-Ganesha)

Words for the kernel command line:
  ip=dhcp alpine_dev=nfs:${server}:/media
  ip=dhcp alpine_dev=nfs:${server}:/media,vers=3
  ip=dhcp apkovl=http://${server}/{MAC}.apkovl.tar.gz alpine_repo=http://${server}/apks

A machine with such words, in a lab of its own, on this terminal:
  npm run lab -- --boot WORD …
One from power-on, in this lab, as root:
  ip -n ${lab.namespace} tuntap add guest mode tap && ip -n ${lab.namespace} link set guest master br0 up
  ip netns exec ${lab.namespace} qemu-system-x86_64 -accel tcg -m 1024 -nographic -boot n \\
    -netdev tap,id=n,ifname=guest,script=no,downscript=no -device virtio-net-pci,netdev=n
Look around in it:
  ip netns exec ${lab.namespace} rpcinfo -p ${server}

Ctrl-C takes everything down.`.replace(`${server}.50`, server.replace(/\.1$/, '.50'))
}

/** Every server, from inside. */
async function askAll(lab: Lab): Promise<number> {
  const services = await lab.run('rpcinfo', '-p', server)
  for (const version of [3, 4])
    if (!new RegExp(`100003 +${version} +tcp +2049`).test(services))
      throw new Error(`NFS ${version} does not answer:\n${services}`)
  const fetched = `const { status } = await fetch('http://${server}/apks/x86_64/APKINDEX.tar.gz'); console.log(status)`
  const status = (await lab.run(process.execPath, '--input-type=module', '--eval', fetched)).trim()
  if (status !== '200') throw new Error(`nginx answers ${status}:\n${lab.log('http')}`)
  console.log('NFS 3 and 4, HTTP and DHCP are ready.')
  return 0
}

process.exitCode = await main().catch((error: unknown) => {
  console.error(`\ndiskless: ${chainOf(error).join('\n  ')}`)
  return 1
})
