/**
 * `npm run dev`: rebuilds what changed and boots the kernel directly, on this terminal. The inner loop.
 *
 *   npm run dev -- [WORD …]    words of the kernel command line, in place of the demo's where the name is the same
 */

import { join } from 'node:path'
import { build } from '../build/index.ts'
import { Machine } from '../src/cli/boot/machine.ts'
import { chainOf } from '../src/sys/index.ts'
import { FileServer } from '../test/support/qemu/server.ts'
import { kernelDirectory } from './kernel.ts'
import { projectRoot } from './processes.ts'
import { makeDemo } from './repository/index.ts'
import { password } from './repository/overlay.ts'

const out = join(projectRoot, 'out')

async function main(words: readonly string[]): Promise<number> {
  const demo = await makeDemo(join(out, 'demo'))
  const boot = await build({
    kernel: await kernelDirectory(),
    modules: ['virtio'],
    keys: [demo.keys],
    out: join(out, 'dev', 'boot'),
    profile: 'dev',
  })
  for (const warning of boot.warnings) console.error(`diskless: ${warning}`)
  const server = await FileServer.start(demo.directory)
  try {
    const append = commandLine(server.url, words)
    console.log(`${append}\nLog in as root, password ${password}. Ctrl-A X switches the machine off.\n`)
    const machine = await Machine.start({
      start: { by: 'kernel', kernel: boot.image, initrd: boot.initrd, append },
      memoryMb: 1024,
      cards: [{ kind: 'user' }],
      terminal: true,
    })
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => machine.stop())
    return (await machine.ended) === 'failed' ? 1 : 0
  } finally {
    await server.close()
  }
}

function commandLine(url: string, words: readonly string[]): string {
  const usual = [
    'console=ttyS0',
    'rootfstype=ramfs',
    'ip=dhcp',
    `apkovl=${url}/{MAC}.apkovl.tar.gz`,
    `alpine_repo=${url}/apks`,
  ]
  const nameOf = (word: string) => word.split('=', 1)[0]
  const given = new Set(words.map(nameOf))
  return [...usual.filter((word) => !given.has(nameOf(word))), ...words].join(' ')
}

process.exitCode = await main(process.argv.slice(2)).catch((error: unknown) => {
  console.error(`\ndiskless: ${chainOf(error).join('\n  ')}`)
  return 1
})
