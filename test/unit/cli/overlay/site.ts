/** Files that the tests of overlays begin with, in a directory of their own, and a look into what was made. */

import { generateKeyPairSync } from 'node:crypto'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { afterAll, beforeAll, beforeEach } from 'vitest'
import { readTar } from '../../../../src/cli/overlay/tar-read.ts'
import { overlayCommand } from '../../../../src/cli/overlay.ts'
import { runCommand, type Said } from './run.ts'

export const scratch = mkdtempSync(join(tmpdir(), 'diskless-overlay-'))
export const at = (name: string) => join(scratch, name)
export const out = at('box.apkovl.tar.gz')
const key = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGuBRVsnlmPX2Ia4B2eGGYP0jBMXuiO7m+QYi1Y3oTiL'
export const hash = '$6$salt$hashhashhash'

export const overlay = (...words: string[]): Promise<Said> => runCommand(overlayCommand, ...words)
export const contentsOf = (path: string) => readTar(gunzipSync(readFileSync(path)), path)
export const textIn = (path: string, name: string) => {
  const entry = contentsOf(path).get(name)
  return entry?.kind === 'file' ? entry.bytes.toString('utf8') : undefined
}
export const lineOf = (path: string, name: string, start: string) =>
  textIn(path, name)
    ?.split('\n')
    .find((line) => line.startsWith(start))

/** For each file of tests: what they begin with, and that the time of what is made is the same each time. */
export function useSite(): void {
  const former = process.env.SOURCE_DATE_EPOCH

  beforeAll(() => {
    process.env.SOURCE_DATE_EPOCH = '1700000000'
    writeFileSync(at('motd'), 'hello\n')
    writeFileSync(at('key.pub'), `${key} me\n`)
    writeFileSync(at('password'), `${hash}\n`)
    writeFileSync(at('secret'), 'open sesame\nnot this\n')
    writeFileSync(
      at('sign.rsa'),
      generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ type: 'pkcs8', format: 'pem' }),
    )
  })
  beforeEach(() => {
    for (const name of readdirSync(scratch).filter((each) => /apkovl|^tree/.test(each))) {
      rmSync(at(name), { recursive: true })
    }
  })
  afterAll(() => {
    if (former === undefined) delete process.env.SOURCE_DATE_EPOCH
    else process.env.SOURCE_DATE_EPOCH = former
    rmSync(scratch, { recursive: true })
  })
}

/** Options with some of everything. */
export const whole = [
  ...[
    '--hostname',
    'box',
    '--world',
    'openssh,htop',
    '--service',
    'sshd,boot:networking',
    '--interface',
    'dhcp',
  ],
  ...[
    '--user',
    'ada::wheel,audio',
    '--password-file',
    `${at('password')}=ada`,
    '--ssh-key',
    `${at('key.pub')}=ada`,
  ],
  ...['--file', `${at('motd')}=/etc/motd`, '--file', `${at('motd')}=/srv/note:0640:ada:shadow`],
  ...['--repository', 'https://mirror.example/v3.19/main'],
]
