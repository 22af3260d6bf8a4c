/** The real apk, which only says what it would do: in an empty root, with our indexes as its repositories. */

import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Ended, run } from '../processes.ts'
import { architectureOf, type Repository } from './repository.ts'

const longestMs = 30_000

export class RealApk {
  readonly #program: string
  readonly #directory: string
  readonly version: string

  private constructor(program: string, directory: string, version: string) {
    this.#program = program
    this.#directory = directory
    this.version = version
  }

  /** Rejects where the program is none. `close` removes what it is given. */
  static async open(program: string): Promise<RealApk> {
    const directory = mkdtempSync(join(tmpdir(), 'conformance-'))
    const { output } = await run(program, ['--version'])
    const apk = new RealApk(program, directory, output.trim().split(',')[0] ?? '')
    for (const each of ['dev', 'tmp', 'etc/apk', 'lib/apk/db', 'var/cache/apk', 'var/cache/misc'])
      mkdirSync(join(apk.root, each), { recursive: true })
    apk.install([])
    return apk
  }

  get root(): string {
    return join(this.#directory, 'root')
  }

  close(): void {
    rmSync(this.#directory, { recursive: true, force: true })
  }

  /** What its database says is installed: stanzas. */
  install(stanzas: readonly string[]): void {
    const database = join(this.root, 'lib/apk/db')
    writeFileSync(join(database, 'installed'), stanzas.map((stanza) => `${stanza}\n\n`).join(''))
    for (const each of ['lock', 'triggers', 'scripts.tar']) writeFileSync(join(database, each), '')
    writeFileSync(join(this.root, 'etc/apk/world'), '')
  }

  run(...words: readonly string[]): Promise<Ended> {
    return this.#run(words, longestMs)
  }

  #run(words: readonly string[], timeoutMs: number): Promise<Ended> {
    return run(this.#program, ['--root', this.root, '--no-network', ...words], {
      environment: { LC_ALL: 'C' },
      timeoutMs,
    })
  }

  /** Options that name the repositories. Other ones may be asked for meanwhile. */
  repositories(repositories: readonly Repository[]): readonly string[] {
    const arch = repositories[0] === undefined ? 'x86_64' : architectureOf(repositories[0])
    const set = mkdtempSync(join(this.#directory, 'repositories-'))
    const lines = repositories.map(({ file, tag }, n) => {
      const directory = join(set, String(n))
      mkdirSync(join(directory, arch), { recursive: true })
      copyFileSync(file, join(directory, arch, 'APKINDEX.tar.gz'))
      return `${tag === undefined ? '' : `@${tag} `}${directory}\n`
    })
    const file = join(set, 'repositories')
    writeFileSync(file, lines.join(''))
    return ['--arch', arch, '--allow-untrusted', '--repositories-file', file]
  }

  /** `name[@tag] (version)` in the order of installation; undefined: it failed, or did not end. */
  async choose(
    repositories: readonly string[],
    world: readonly string[],
    timeoutMs = longestMs,
  ): Promise<readonly string[] | undefined> {
    const words = [...repositories, '--force-broken-world', '--simulate', 'add', '--', ...world]
    const { status, output } = await this.#run(words, timeoutMs)
    if (status !== 0) return undefined
    return [...output.matchAll(/^\(\d+\/\d+\) Installing (\S+ \(.*\))$/gm)].map(([, line = '']) => line)
  }
}
