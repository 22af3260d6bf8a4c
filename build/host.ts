/**
 * Makes /init: the host (runtime/, by cargo, which rebuilds only what changed), the bundle as bytecode of that very
 * host, and the two joined in one file.
 */

import { spawn } from 'node:child_process'
import { closeSync, existsSync, mkdirSync, openSync, readSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { bundleInit } from './bundle.ts'
import { needsInterpreter } from './elf.ts'
import { CommandError, errnoOf } from './error.ts'
import type { HookFile } from './hooks/files.ts'
import { packageRoot, workDirectory } from './paths.ts'
import { findPrebuilt } from './prebuilt.ts'

/** `dev` builds in a fraction of the time, for trying things out. */
export type Profile = 'release' | 'dev'

const target = 'x86_64-unknown-linux-gnu'

/** Takes a line that tells what is going on: a first build takes minutes. */
export type Tell = (line: string) => void

/** Resolves with the host's path. In a checkout this needs cargo. */
export async function buildHost(profile: Profile, tell: Tell = () => {}): Promise<string> {
  const prebuilt = findPrebuilt()
  if (prebuilt !== undefined) return prebuilt.host
  const crate = join(packageRoot, 'runtime')
  const host = join(crate, 'target', target, profile === 'dev' ? 'debug' : 'release', 'diskless-init')
  const options = ['build', '--locked', '--target', target, '--profile', profile]
  await run('cargo', options, crate, tellCompiling(tell))
  refuseDynamic(host)
  return host
}

/**
 * Resolves with the lease keeper's path. By itself, as cargo would give it what the host has of the crates that both use;
 * and always as it is shipped: unoptimized it is not free of what it is to do without.
 */
export async function buildKeeper(tell: Tell = () => {}): Promise<string> {
  const prebuilt = findPrebuilt()
  if (prebuilt !== undefined) return prebuilt.lease
  const crate = join(packageRoot, 'runtime')
  const options = ['build', '--locked', '--target', target, '--release', '--package', 'diskless-lease']
  await run('cargo', options, crate, tellCompiling(tell))
  const keeper = join(crate, 'target', target, 'release', 'diskless-lease')
  refuseDynamic(keeper)
  return keeper
}

function tellCompiling(tell: Tell): Tell {
  return (line) => {
    if (/^\s*(Compiling|Blocking|Downloading)/.test(line)) tell(line.trim())
  }
}

/** Resolves with the path of a standalone /init. */
export async function buildInit(profile: Profile, tell: Tell = () => {}): Promise<string> {
  const prebuilt = findPrebuilt()
  if (prebuilt !== undefined) return joinBytecode(prebuilt.host, prebuilt.bytecode, workDirectory)
  return makeInit(profile === 'release' ? workDirectory : join(workDirectory, profile), profile, [], tell)
}

/** Resolves with the path of a standalone /init in `directory`, beside its bundle; `hooks` have been checked. */
export async function makeInit(
  directory: string,
  profile: Profile,
  hooks: readonly HookFile[],
  tell: Tell = () => {},
): Promise<string> {
  // The bundle first: it takes no time, and is what a person changing init got wrong.
  const bundle = await bundleInit(directory, undefined, hooks)
  return joinBundle(await buildHost(profile, tell), bundle, directory)
}

/** The host with a bundle: its bytecode and the standalone program, in `directory`. Resolves with the latter's path. */
export async function joinBundle(host: string, bundle: string, directory: string): Promise<string> {
  const bytecode = join(directory, 'init.qjsc')
  await run(host, ['--compile', bundle, bytecode], packageRoot)
  return joinBytecode(host, bytecode, directory)
}

async function joinBytecode(host: string, bytecode: string, directory: string): Promise<string> {
  mkdirSync(directory, { recursive: true })
  const init = join(directory, 'init')
  await run(host, ['--append', bytecode, init], packageRoot)
  return init
}

/** The initrd has no dynamic loader: the kernel would say ENOENT of a file that is there. */
export function refuseDynamic(program: string): void {
  if (!existsSync(program)) throw new CommandError(`there is no ${program}, although cargo built it`)
  const file = openSync(program, 'r')
  try {
    const dynamic = needsInterpreter((offset, length) => {
      const bytes = Buffer.alloc(length)
      return bytes.subarray(0, readSync(file, bytes, 0, length, offset))
    })
    if (dynamic) {
      throw new CommandError(`${program} needs a dynamic loader, which an initrd does not have`, {
        advice: ['It must be linked statically: runtime/.cargo/config.toml says +crt-static.'],
      })
    }
  } finally {
    closeSync(file)
  }
}

/** `tell` gets the program's lines as they come; their end is in the error of one that fails. */
function run(
  program: string,
  options: readonly string[],
  directory: string,
  tell: Tell = () => {},
): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, options, { cwd: directory, stdio: ['ignore', 'pipe', 'pipe'] })
    let output = ''
    for (const stream of [child.stdout, child.stderr]) {
      createInterface({ input: stream }).on('line', (line) => {
        output = `${output}${line}\n`.slice(-8192)
        tell(line)
      })
    }
    child.on('error', (cause) => {
      const advice =
        errnoOf(cause) === 'ENOENT' && program === 'cargo' ? ['Install Rust: it builds /init.'] : []
      reject(new CommandError(`${program} could not be run`, { cause, advice }))
    })
    child.on('close', (status, signal) => {
      if (status === 0) resolve()
      else {
        const how = signal === null ? `exited with ${status}` : `was ended by ${signal}`
        const cause = output.trim() === '' ? undefined : new Error(output.trim())
        reject(new CommandError(`'${[program, ...options].join(' ')}' ${how}`, { cause }))
      }
    })
  })
}
