/** `diskless prepare-nfsroot` and the extended attributes of what it changes: ACLs, labels, capabilities. */

import { execFileSync, spawnSync } from 'node:child_process'
import {
  chmodSync,
  chownSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, beforeEach, describe, expect, it } from 'vitest'
import { prepareNfsrootCommand } from '../../../src/cli/prepare-nfsroot.ts'
import { runCommand } from './overlay/run.ts'

const scratch = mkdtempSync(join(tmpdir(), 'diskless-attributes-'))
const root = join(scratch, 'root')
afterAll(() => rmSync(scratch, { recursive: true }))

const prepare = (...words: string[]) => runCommand(prepareNfsrootCommand, root, ...words)
const at = (path: string) => join(root, path)

function set(path: string, name: string, value: string): boolean {
  return spawnSync('setfattr', ['-h', '-n', name, '-v', value, path]).status === 0
}

/** Names and values, hex, as the kernel has them. */
function attributesOf(path: string): string {
  return execFileSync('getfattr', ['-h', '-d', '-m', '-', '-e', 'hex', '--absolute-names', at(path)], {
    encoding: 'utf8',
  })
}

/** setxattr(2) of each kind takes root, and a file system that has them: the kernel's own tmpfs has no user.* before 6.6. */
function whyNot(): string | undefined {
  if (process.geteuid?.() !== 0) return 'only root sets labels and capabilities'
  const probe = join(scratch, 'probe')
  writeFileSync(probe, '')
  if (!set(probe, 'user.a', 'b')) return 'no setfattr, or the file system has no extended attributes'
  if (!set(probe, 'system.posix_acl_access', acl)) return 'the file system has no ACLs'
  return undefined
}

/** user::rw-, user:1234:r--, group::r--, mask::r--, other::---; as acl(5) is stored. */
const acl = `0x${[
  '02000000',
  ...['01000600ffffffff', '02000400d2040000', '04000400ffffffff', '10000400ffffffff', '20000000ffffffff'],
].join('')}`
/** cap_net_raw+ep, version 2. */
const capability = '0x0100000200200000000000000000000000000000'
const label = 'system_u:object_r:etc_t:s0'

function put(path: string, text: string): void {
  mkdirSync(dirname(at(path)), { recursive: true })
  writeFileSync(at(path), text)
}

const changed = [
  'etc/fstab',
  'etc/hostname',
  'etc/ssh/ssh_host_ed25519_key',
  'var/lib/dbus/machine-id',
  'etc/mtab',
]

const reason = whyNot()
describe.skipIf(reason !== undefined)(
  `extended attributes${reason === undefined ? '' : ` (${reason})`}`,
  () => {
    beforeEach(() => {
      rmSync(root, { recursive: true, force: true })
      rmSync(`${root}.diskless-undo`, { force: true })
      put('usr/lib/systemd/systemd', '')
      put('usr/lib/systemd/system/ssh.service', '')
      put('usr/bin/ssh-keygen', '')
      put('etc/fstab', 'UUID=0a1b-2c3d / ext4 errors=remount-ro 0 1\n')
      put('etc/hostname', 'builder\n')
      put('etc/ssh/ssh_host_ed25519_key', 'secret')
      put('var/lib/dbus/machine-id', '0123456789abcdef0123456789abcdef\n')
      symlinkSync('/etc/elsewhere', at('etc/mtab'))
      chownSync(at('etc/fstab'), 1234, 4321)
      chmodSync(at('etc/fstab'), 0o640)
      set(at('etc/fstab'), 'system.posix_acl_access', acl)
      set(at('etc/fstab'), 'security.selinux', label)
      set(at('etc/fstab'), 'user.note', '0x00ff0a3d')
      set(at('etc/fstab'), 'security.capability', capability)
      set(at('etc/ssh/ssh_host_ed25519_key'), 'security.capability', capability)
      set(at('etc/ssh/ssh_host_ed25519_key'), 'trusted.kept', 'yes')
      set(at('var/lib/dbus/machine-id'), 'system.posix_acl_access', acl)
      set(at('etc/mtab'), 'security.selinux', label)
    })

    it('come back with what was replaced or removed, whatever it was', async () => {
      const before = changed.map(attributesOf)
      // All that was set is there: a comparison of nothing would prove nothing.
      expect(before.join('').match(/=0x/g)).toHaveLength(8)
      expect((await prepare()).failure).toBe('')
      expect(attributesOf('var/lib/dbus/machine-id')).toBe('')
      expect((await prepare('--undo')).failure).toBe('')
      expect(changed.map(attributesOf)).toEqual(before)
      expect(statSync(at('etc/fstab')).mode & 0o7777).toBe(0o640)
      expect(readFileSync(at('etc/ssh/ssh_host_ed25519_key'), 'utf8')).toBe('secret')
    })

    it('stay on a file that is written anew, with its owner, but for those of the old content', async () => {
      const kept = (text: string) => text.replace(/^security\.capability.*\n/m, '')
      const before = attributesOf('etc/fstab')
      await prepare()
      expect(readFileSync(at('etc/fstab'), 'utf8')).toMatch(/^#diskless# UUID/)
      expect(attributesOf('etc/fstab')).toBe(kept(before))
      expect(before).not.toBe(kept(before))
      const { mode, uid, gid } = statSync(at('etc/fstab'))
      expect([mode & 0o7777, uid, gid]).toEqual([0o640, 1234, 4321])
    })

    it('that cannot be brought back are told, and nothing is lost: the same again goes on', async () => {
      const before = changed.map(attributesOf)
      await prepare()
      const { PATH } = process.env
      // A machine whose tar knows none: as good as none at all.
      process.env.PATH = join(scratch, 'nothing')
      const { failure } = await prepare('--undo')
      process.env.PATH = PATH
      expect(failure).toMatch(/tar could not read or write the extended attributes[\s\S]*apk add tar/)
      expect((await prepare('--undo')).failure).toBe('')
      expect(changed.map(attributesOf)).toEqual(before)
    })

    it('are said to be lost, before, where no tar knows them', async () => {
      const { PATH } = process.env
      process.env.PATH = join(scratch, 'nothing')
      const { stdout, failure } = await prepare('--dry-run')
      process.env.PATH = PATH
      expect(failure).toBe('')
      expect(stdout.replaceAll(/\s+/g, ' ')).toContain(
        'of files that are changed are not kept: it takes GNU tar',
      )
    })
  },
)
