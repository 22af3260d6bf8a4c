/** Publishing onto a disk that is full, or fills meanwhile: a real one, small, in memory, in namespaces of its own. */

import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, describe, expect, it } from 'vitest'
import { packageRoot } from '../../../build/paths.ts'
import type { Filled } from '../../support/publish-full.ts'

const program = fileURLToPath(new URL('../../support/publish-full.ts', import.meta.url))
const top = mkdtempSync(join(tmpdir(), 'diskless-full-'))
const disk = join(top, 'disk')
mkdirSync(disk)
afterAll(() => rmSync(top, { recursive: true, force: true }))

/** A script where a file system of this size is at `disk`, which vanishes with it. */
function onDisk(size: string, script: string) {
  const words = ['--user', '--map-root-user', '--mount', 'sh', '-euc']
  const mount = `mount -t tmpfs -o size=${size} tmpfs '${disk}'`
  return spawnSync('unshare', [...words, `${mount}\n${script}`], {
    encoding: 'utf8',
    cwd: top,
    env: { ...process.env, NO_COLOR: '1', NODE: process.execPath },
  })
}

const tried = onDisk('1m', 'true')
const reason = tried.status === 0 ? undefined : (tried.error?.message ?? tried.stderr.trim())

describe.skipIf(reason !== undefined)(
  `a full disk${reason === undefined ? '' : ` (needs namespaces: ${reason})`}`,
  () => {
    it('refuses what is larger than it, says how much is missing, and has what it had', () => {
      mkdirSync(join(top, 'boot'))
      writeFileSync(join(top, 'boot/vmlinuz'), 'the kernel')
      writeFileSync(join(top, 'boot/initrd'), Buffer.alloc(3 << 20, 1))
      writeFileSync(join(top, 'larger'), Buffer.alloc(24 << 20, 2))
      const publish = `"$NODE" '${join(packageRoot, 'src/cli/main.ts')}' publish '${disk}/www' --boot boot`
      const sums = `find '${disk}' -type f -exec sha256sum {} + | sort`
      const { stdout, stderr, status } = onDisk(
        '20m',
        `${publish} >&2
${sums} > before
cp larger boot/initrd
if ${publish} 2> failure; then exit 9; else echo "status=$?"; fi
${sums} > after
cmp before after && wc -l < before && ls -A '${disk}/www'
cat failure`,
      )
      expect(status, stderr).toBe(0)
      expect(stdout).toMatch(/^status=1$/m)
      expect(stdout).toContain(`diskless: ${disk}/www has room for `)
      expect(stdout).toMatch(/room for [\d.]+ MB, and 25\.\d MB are to be written/)
      expect(stdout).toMatch(/^Make room for [\d.]+ MB more\. What was published is untouched\.$/m)
      expect(stdout).not.toMatch(/^\.(staged|publishing)$/m)
      // There was something to be compared.
      expect(Number(/^\d+$/m.exec(stdout)?.[0])).toBeGreaterThan(5)
    })

    it('that somebody fills meanwhile, before any step, keeps the old state whole, or gets the new one', () => {
      const { stdout, stderr, status } = onDisk('8m', `"$NODE" '${program}' '${disk}'`)
      expect(status, stderr).toBe(0)
      const results: Filled[] = JSON.parse(stdout)
      expect(results.length).toBeGreaterThan(25)
      const early = results.filter(({ step }) => !/^(rename|remove)/.test(step))
      for (const { step, failure, untouched } of early) {
        // Directories are of no size in memory.
        if (step === 'write directories') continue
        expect([step, untouched, failure]).toEqual([step, true, expect.stringMatching(/ENOSPC|has room for/)])
        expect(failure, step).toMatch(/\/(www|empty)\b/)
        expect(failure, step).toMatch(/[Mm]ake room/)
      }
      // What is renamed needs no room.
      const late = results.filter(({ step }) => /^(rename|remove)/.test(step))
      expect(late.length).toBeGreaterThan(10)
      for (const { step, failure } of late) expect([step, failure]).toEqual([step, undefined])
      expect(results.flatMap(({ problems }) => problems)).toEqual([])
    })
  },
)
