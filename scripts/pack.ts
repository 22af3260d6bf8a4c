/**
 * `npm pack` of diskless (prepack): bundles the command, so that no Node has to read TypeScript below node_modules, which it
 * refuses, and writes the types that hooks and configurations are checked against.
 *
 *   node scripts/pack.ts           dist/, of the package diskless
 *   node scripts/pack.ts runtime   what packages/linux-x64 holds: needs cargo
 */

import { spawnSync } from 'node:child_process'
import { chmodSync, copyFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { build } from 'esbuild'
import { buildHost, buildInit, buildKeeper } from '../build/host.ts'
import { packageRoot, workDirectory } from '../build/paths.ts'

const tell = (line: string) => process.stderr.write(`${line}\n`)

if (process.argv[2] === 'runtime') await packRuntime()
else await packCommand()

async function packCommand(): Promise<void> {
  const dist = join(packageRoot, 'dist')
  rmSync(dist, { recursive: true, force: true })
  await build({
    absWorkingDir: packageRoot,
    entryPoints: { diskless: 'src/cli/main.ts', index: 'src/index.ts' },
    outdir: dist,
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node22',
    charset: 'utf8',
    packages: 'external',
    legalComments: 'none',
    logLevel: 'warning',
  })
  const options = ['--project', join(packageRoot, 'scripts/pack-types.json'), '--outDir', join(dist, 'types')]
  const { status } = spawnSync(
    process.execPath,
    [join(packageRoot, 'node_modules/typescript/bin/tsc'), ...options],
    {
      stdio: ['ignore', 2, 2],
    },
  )
  if (status !== 0) throw new Error('the types could not be written: see above')
}

async function packRuntime(): Promise<void> {
  const directory = join(packageRoot, 'packages/linux-x64')
  await buildInit('release', tell)
  const files = {
    host: await buildHost('release', tell),
    lease: await buildKeeper(tell),
    'init.qjsc': join(workDirectory, 'init.qjsc'),
  }
  for (const [name, file] of Object.entries(files)) {
    copyFileSync(file, join(directory, name))
    chmodSync(join(directory, name), name === 'init.qjsc' ? 0o644 : 0o755)
  }
}
