/**
 * The commands of the README and of docs/guide, from an empty folder: every block of sh is run as it stands, in a copy of this
 * machine and in the lab's network; and then a machine is switched on. The examples of --help are in examples.test.ts.
 *
 * Not run are npm's tasks in the README, CONTRIBUTING.md, docs/measured.md and docs/conformance.md: `npm start`, `npm run dev` and
 * `npm run lab` stay on a terminal, and what they do is demo.test.ts' and lab.test.ts'; `npm test` and its kinds run this very test;
 * `npm run bench` and the `measure` tasks take up to an hour; `npm run conformance` fetches a Go module or a real Alpine, which
 * docs/measured.md's `cargo test --release real::` asks for, too.
 * test/unit/docs/commands.test.ts sees that all of them exist, and the options of commands that are named in mid-sentence.
 */

import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, expect, inject, it } from 'vitest'
import { packageRoot } from '../../build/paths.ts'
import { Machine } from '../../src/cli/boot/machine.ts'
import { machineCopy } from '../support/copy/machine-copy.ts'
import { makeReader, type Reader } from '../support/copy/reader.ts'
import { kioskMachine } from '../support/examples/build.ts'
import { describeInLab } from '../support/lab/describe.ts'
import { Lab } from '../support/lab/index.ts'
import type { Service } from '../support/lab/service.ts'
import { patience } from './guest.ts'

function blocksOf(document: string, language: string): readonly string[] {
  const text = readFileSync(join(packageRoot, document), 'utf8')
  const blocks = [...text.matchAll(/^( *)```(\w*)\n([\s\S]*?)^ *```$/gm)]
  return blocks.flatMap(([, , of, block = '']) => (of === language ? [block] : []))
}

/** With what a document leaves to its reader; and the machine here has no screen. What stays goes to another terminal. */
function commandsOf(document: string): string {
  return blocksOf(document, 'sh')
    .filter((block) => !block.startsWith('npm start'))
    .join('\n')
    .replaceAll('192.168.1.2', Lab.address)
    .replaceAll('https://mirror.example', Lab.faulty)
    .replaceAll(/--append '?(diskless\.modules=keep[^'\n]*)'?$/gm, "--append '$1 console=ttyS0'")
    .replaceAll(/^(npx diskless watch .*)$/gm, '$1 &')
}

const scratch = mkdtempSync(join(tmpdir(), 'diskless-guide-'))

describeInLab('what the documents say to do', () => {
  let reader: Reader
  let lab: Lab
  let server: Service | undefined
  let guest: Machine | undefined

  beforeAll(async () => {
    reader = await makeReader({ scratch, demo: inject('demo'), signingKey: inject('signingKey') })
    lab = await Lab.start({ dhcp: false, faulty: reader.mirror })
  })
  afterEach(async () => {
    await guest?.stop()
    await server?.kill()
  })
  afterAll(async () => {
    await lab?.stop()
    rmSync(scratch, { recursive: true, force: true })
  })

  /** What was said, by the commands and of them. The servers that they start go on until the test is over. */
  async function follow(document: string, before = '', after = ''): Promise<Service> {
    const end = 'set +x\necho that was all\ntail -f /dev/null\n'
    const script = [reader.arrives, before, 'set -x', commandsOf(document), after, end].join('\n')
    server = machineCopy({ name: document, scratch, script, namespace: lab.namespace })
    await server.start()
    await server.says(/^that was all$/m, 5 * patience).finally(() => console.log(server?.log))
    return server
  }

  it('in ten minutes ends in a machine on the LAN that one can log into', async () => {
    const followed = await follow('docs/guide/lan.md')
    await followed.says(/^machines report with diskless\.report=/m, patience)
    guest = await Machine.start({ start: { by: 'network' }, memoryMb: 768, cards: [{ kind: 'tap', lab }] })
    await guest.console.waitFor(/box login: $/, 5 * patience)
    const [, address = ''] = /(10\.77\.0\.\d+)\/24/.exec(guest.console.text) ?? []
    const banner = await lab.run('bash', '-c', `exec 3<>/dev/tcp/${address}/22; head -1 <&3`)
    expect(banner).toMatch(/^SSH-2\.0-OpenSSH/)
    await followed.says(/up after /, patience)
  })

  it('in the README works, one after the other', async () => {
    const fleet = `mkdir -p /srv/www/alpine/v3.19
cp ${inject('demo')}/*.apkovl.tar.gz /srv/www/fleet.apkovl.tar.gz
ln -s ${reader.main} /srv/www/alpine/v3.19/main`
    const { log } = await follow('README.md', fleet)
    expect(log).toMatch(/fleet\.lock: \d+ packages for x86_64/)
  })

  it('of building makes an initrd of each kernel, and one for one kind of machine', async () => {
    const sheets = 'for each in boot/*; do diskless inspect --all $each/initrd > $each/sheet; done'
    const compared =
      'grep -w e1000e boot/kiosk/sheet; ! grep -w igb boot/kiosk/sheet; grep -w igb boot/running/sheet'
    const { log } = await follow('docs/guide/build.md', kioskMachine('kiosk'), `${sheets}\n${compared}`)
    for (const kind of ['running', 'alpine', 'debian', 'kiosk'])
      expect(log).toMatch(new RegExp(`boot/${kind}: vmlinuz \\(Linux [^)]*\\), initrd \\(made\\)`))
  })

  it('of hooks builds the one that is shown', async () => {
    const [hook = ''] = blocksOf('docs/guide/hooks.md', 'ts')
    const before = `mkdir hooks\ncat > hooks/issue.ts <<'END'\n${hook}END`
    const { log } = await follow('docs/guide/hooks.md', before, 'diskless inspect boot/initrd')
    expect(log).toMatch(/with hooks: hooks\/issue\.ts/)
  })
})
