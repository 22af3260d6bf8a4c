/**
 * `npm run conformance:tree`: installs worlds with us and with somebody else, natively and side by side, walks both trees
 * and both databases, and prints every difference. Needs root.
 *
 *   npm run conformance:tree                                                      the demo's repository, with apko (needs Go)
 *   ALPINE_MEDIA=DIR [ALPINE_KEYS=DIR] [APK=path] npm run conformance:tree        Alpine's media, with the real apk
 *
 * DIR has apks/x86_64, as Alpine's media have it. Without APK it is the apk of the media. The keys are those of the
 * media's alpine-keys package unless ALPINE_KEYS says where they are. `--release` takes the host that is shipped.
 */

import { execFileSync, spawnSync } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { buildHost } from '../build/index.ts'
import { makeInstaller } from '../build/installer.ts'
import { type Apk, apkAt, apkOfMedia, namesIn, versionOf } from '../test/support/tree/apk.ts'
import { compareWithApko, installWithApko } from '../test/support/tree/apko.ts'
import { compareWorld, installAlone, type Outcome } from '../test/support/tree/site.ts'
import { madeSite, madeWorlds, mediaWorlds } from '../test/support/tree/worlds.ts'
import { buildGo } from './conformance/go.ts'
import { projectRoot } from './processes.ts'
import { makeDemo } from './repository/index.ts'

const { ALPINE_MEDIA, ALPINE_KEYS, APK } = process.env

if (process.getuid?.() !== 0) stop('only root can give files to others and mount: run it as root')
// What is mounted here is nobody else's business.
if (process.env.DISKLESS_NAMESPACE === undefined) {
  const again = ['--mount', '--propagation', 'private', process.execPath, ...process.argv.slice(1)]
  const environment = { ...process.env, DISKLESS_NAMESPACE: 'own' }
  const { status } = spawnSync('unshare', again, { stdio: 'inherit', env: environment })
  process.exit(status ?? 1)
}

const profile = process.argv.includes('--release') ? 'release' : 'dev'
const directory = mkdtempSync(join(tmpdir(), 'diskless-tree-'))
try {
  const program = await makeInstaller(join(directory, 'installer'), await buildHost(profile, console.error))
  const different =
    ALPINE_MEDIA === undefined
      ? await besideApko(program)
      : await besideApk(program, resolve(ALPINE_MEDIA, 'apks'))
  console.log(different === 0 ? 'no difference' : `${different} differences`)
  process.exitCode = different === 0 ? 0 : 1
} finally {
  if (process.env.DISKLESS_KEEP === undefined) rmSync(directory, { recursive: true, force: true })
}

async function besideApk(program: string, repository: string): Promise<number> {
  const media: Apk = apkOfMedia(join(repository, 'x86_64'), join(directory, 'apk-tools'))
  const apk = APK === undefined ? media : apkAt(resolve(APK))
  const keys = join(directory, 'keys')
  cpSync(ALPINE_KEYS === undefined ? keysOfMedia(repository) : resolve(ALPINE_KEYS), keys, {
    recursive: true,
  })
  const made = madeSite(join(directory, 'made'), keys)
  console.log(versionOf(apk))
  let different = 0
  for (const world of [...mediaWorlds(repository, keys, made), ...madeWorlds(directory, keys, made)]) {
    different += report(world.name, await compareWorld(world, { directory, apk, program }))
  }
  return different
}

/** All of the demo. */
async function besideApko(program: string): Promise<number> {
  const apko = join(directory, 'apko')
  const failure = await buildGo('./tree', apko).catch(() =>
    stop('Go is missing, with which apko is built', 3),
  )
  if (failure !== undefined) stop(failure, 3)
  const { directory: demo, keys } = await makeDemo(join(projectRoot, 'out/demo'))
  const repository = join(demo, 'apks')
  const world = namesIn(repository)
  const theirs = installWithApko(apko, { repository, keys, world })
  const site = { name: 'the demo', repositories: [{ url: repository }], keys, world }
  return installAlone(site, { directory, program }, (root, { failure }) => {
    if (failure !== undefined) stop(`we failed: ${failure.join(': ')}`)
    const { packages, paths, differences, explained } = compareWithApko(root, theirs)
    console.log(`the demo: ${packages} packages, ${paths} paths, ${differences.length} differences`)
    for (const line of differences) console.log(`  ${line}`)
    for (const [reason, count] of explained) console.log(`  ${count} times ${reason}`)
    return differences.length
  })
}

function report(name: string, { ours, theirs, paths, packages, differences }: Outcome): number {
  const told = [...differences]
  if (ours.failure !== undefined) told.unshift(`ours failed: ${ours.failure.join(': ')}`)
  const order = [...theirs.said.matchAll(/^\(\d+\/\d+\) Installing (\S+?)(?:@\S+)? \((.*)\)$/gm)]
  const installed = order.map(([, pkg, version]) => `${pkg}-${version}`)
  if (installed.join(' ') !== ours.order.join(' ')) told.push(`order: ours ${ours.order}, apk ${installed}`)
  const executed = (text: string) => text.split('\n').filter((line) => line.startsWith('Executing '))
  const [mine, yours] = [executed(ours.messages.join('\n')), executed(theirs.said)]
  if (mine.join() !== yours.join()) told.push(`scripts: ours ${mine}, apk ${yours}`)
  console.log(
    `${name}: ${packages} packages, ${paths} paths, ${yours.length} scripts, ${told.length} differences`,
  )
  for (const line of told) console.log(`  ${line}`)
  if (told.length > 0 && process.env.DISKLESS_KEEP !== undefined) {
    console.log(`  ours: ${ours.messages.join('\n    ')}\n  apk: ${theirs.said}`)
  }
  return told.length
}

function keysOfMedia(repository: string): string {
  const unpacked = join(directory, 'alpine-keys')
  const names = readdirSync(join(repository, 'x86_64'))
  const file = names.find((name) => name.startsWith('alpine-keys-'))
  if (file === undefined) stop(`${repository} has no alpine-keys: ALPINE_KEYS=DIR is needed`)
  mkdirSync(unpacked)
  execFileSync('tar', ['-xzf', join(repository, 'x86_64', file), '-C', unpacked], { stdio: 'ignore' })
  const keys = join(unpacked, 'etc/apk/keys')
  if (!existsSync(keys)) stop(`${file} has no etc/apk/keys`)
  return keys
}

/** 3: what it needs is missing. */
function stop(text: string, status = 1): never {
  console.error(text)
  process.exit(status)
}
