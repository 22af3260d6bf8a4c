/** `diskless inspect` on what it does not know and on what is damaged, and how the command ends. */

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { CommandError } from '../../../../build/error.ts'
import { makeOverlay } from '../../../../scripts/repository/overlay.ts'
import { file } from '../../../../scripts/repository/tar.ts'
import { withFile } from '../../../../src/cli/inspect/bytes.ts'
import { inspectCommand } from '../../../../src/cli/inspect.ts'
import { formatManifest } from '../../../../src/cli/publish/manifest.ts'
import { damaged, inputs } from '../../../support/fuzz.ts'
import { signedLock } from '../../../support/lock.ts'
import { key, makeIndex, packageOf, tamperedIndex } from '../../../support/scenario.ts'
import { kernelImage, temporaryDirectory } from '../../build/synthetic.ts'
import { archive, given, look, padded, refusal, shown, squashfs } from './samples.ts'

describe('anything else', () => {
  it.each([
    [Buffer.alloc(0), /it is empty/],
    [Buffer.from('hello'), /nothing that diskless boots from/],
    [gzipSync(Buffer.from('hello')), /nothing that diskless boots from \(gzip data of something else\)/],
    [Buffer.from('!<arch>\ndebian'), /nothing that diskless boots from/],
    [Buffer.alloc(3000), /nothing that diskless boots from/],
  ])('is refused with what would be understood', (bytes, message) => {
    const { message: said, advice } = refusal(bytes)
    expect(said).toMatch(message)
    if (bytes.length > 0) expect(advice.join('\n')).toMatch(/an initrd: cpio archives/)
  })

  it('cut short or damaged anywhere ends in words: never in a stack trace, never in silence', () => {
    const samples = {
      cpio: archive,
      initrd: padded(zstdCompressSync(archive)),
      overlay: makeOverlay({ hostname: 'x', world: ['a'], runlevels: { boot: ['b'] } }),
      index: makeIndex(),
      package: packageOf({ name: 'tool', entries: [file('usr/bin/tool', 'x')] }).bytes,
      lock: Buffer.from(signedLock()),
      manifest: Buffer.from(
        formatManifest(
          { files: new Map([['a', { sha256: 'a'.repeat(64), size: 1 }]]), former: new Map() },
          { name: key.name, key: key.privateKey },
        ),
      ),
      kernel: kernelImage('6.1.0'),
      image: squashfs(),
    }
    for (const bytes of Object.values(samples)) {
      const step = Math.max(1, Math.floor(bytes.length / inputs(60)))
      for (let end = 1; end < bytes.length; end += step) tryOut(bytes.subarray(0, end))
      for (const hex of damaged(bytes.toString('hex'), inputs(80))) tryOut(Buffer.from(hex, 'hex'))
    }
  }, 60_000)
})

/** It is inspected, or refused in words. */
function tryOut(bytes: Buffer): void {
  try {
    shown(look(bytes, given, true))
  } catch (error) {
    if (!(error instanceof CommandError)) throw error
    expect(error.message).not.toBe('')
  }
}

describe('diskless inspect', () => {
  it('reads files of any name, fails for a wrong signature, and says which file could not be read', async () => {
    const directory = temporaryDirectory()
    const path = join(directory, 'whatever')
    writeFileSync(path, tamperedIndex())
    const keys = join(directory, key.name)
    writeFileSync(keys, key.publicPem)
    expect(await inspectCommand.run([path, '--quiet', '--json'])).toBe(0)
    expect(await inspectCommand.run([path, '--keys', keys, '--json'])).toBe(1)
    expect(await inspectCommand.run([path, join(directory, 'absent'), '--json'])).toBe(3)
    await expect(inspectCommand.run([join(directory, 'absent')])).rejects.toThrow(/absent could not be read/)
    await expect(withFile(directory, () => 1)).rejects.toThrow(/is no file/)
  })
})
