/** Overlays that must not be used: each ends in a message and the shell, and a good one boots from there. */

import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { password, passwordHash } from '../../scripts/repository/overlay.ts'
import { type Entry, file, symlink, writeTar } from '../../scripts/repository/tar.ts'
import { type Machine, usualMac } from '../../src/cli/boot/machine.ts'
import { type Behaviour, FileServer } from '../support/qemu/server.ts'
import { hearReports, type Reports } from '../support/reports.ts'
import { bootGuest, handover, logIn, patience, type Refusal, refusal, retry, runIn } from './guest.ts'

const overlayPath = /apkovl/
const diskless = fileURLToPath(new URL('../../bin/diskless', import.meta.url))

function archive(...entries: readonly Entry[]): Behaviour {
  return { kind: 'bytes', bytes: gzipSync(writeTar([file('etc/hostname', 'evil\n'), ...entries])) }
}

/** Four times the guest's memory, in archives that make a few kilobytes each. */
function* tooMuch(): Generator<Buffer> {
  const zeros = Buffer.alloc(64 << 20)
  for (let at = 0; at < 16; at++)
    yield gzipSync(writeTar([file(`var/big${at}`, zeros)], { cut: true }), { level: 1 })
}

describe('an overlay', () => {
  const scratch = mkdtempSync(join(tmpdir(), 'diskless-overlay-'))
  let server: FileServer
  let reports: Reports
  let guest: Machine

  beforeAll(async () => {
    server = await FileServer.start(inject('demo'))
    reports = await hearReports()
    guest = await bootGuest({
      memoryMb: 256,
      append: [
        'quiet',
        'ip=dhcp',
        `apkovl=${server.url}/box.apkovl.tar.gz`,
        `alpine_repo=${server.url}/apks`,
        `diskless.report=${reports.url}`,
      ],
    })
    // The demo has none of that name.
    const { phase, text } = await refusal(guest)
    expect(phase, text).toBe('overlay')
    expect(text).toMatch(/404/)
    expect(text).toMatch(/What to do/)
  })

  afterAll(async () => {
    await guest?.stop()
    await server?.close()
    rmSync(scratch, { recursive: true })
    await reports?.close()
  })

  async function refuse(behaviour: Behaviour): Promise<Refusal> {
    server.behaveWell()
    server.behave(overlayPath, behaviour)
    retry(guest)
    const refused = await refusal(guest)
    expect(refused.phase, refused.text).toBe('overlay')
    return refused
  }

  it('that is not there is told to who watches, with its cause', async () => {
    const { failure, sender } = await reports.until(({ state }) => state === 'failed', patience)
    expect(failure?.phase).toBe('overlay')
    expect(failure?.chain.join('\n')).toMatch(/could not be fetched[\s\S]*404/)
    expect(sender).toMatchObject({ mac: usualMac, address: '10.0.2.15' })
  })

  it('that is not there', async () => {
    expect((await refuse({ kind: 'status', status: 404 })).text).toMatch(/404/)
  })

  it('that ends too early', async () => {
    const whole = gzipSync(writeTar([file('etc/hostname', 'x\n')]))
    const { text } = await refuse({ kind: 'bytes', bytes: whole.subarray(0, whole.length - 20) })
    expect(text).toMatch(/damaged|ends/)
  })

  it('that is an error page with status 200', async () => {
    const { text } = await refuse({ kind: 'bytes', bytes: Buffer.from('<html>Sorry</html>\n'.repeat(50)) })
    expect(text).toMatch(/no tar\.gz|not.*gzip/)
  })

  it('that is compressed, and no tar', async () => {
    const { text } = await refuse({ kind: 'bytes', bytes: gzipSync(Buffer.from('Sorry\n'.repeat(500))) })
    expect(text).toMatch(/tar/)
  })

  it('with ../ in a name', async () => {
    expect((await refuse(archive(file('../../evil', 'x')))).text).toMatch(/outside/)
  })

  it('with an absolute name', async () => {
    expect((await refuse(archive(file('/evil', 'x')))).text).toMatch(/outside|absolute/)
  })

  it('with a symlink that leads out, and a file behind it', async () => {
    const { text } = await refuse(archive(symlink('out', '../../../../run/diskless'), file('out/evil', 'x')))
    expect(text).toMatch(/outside/)
  })

  it('larger than the memory', async () => {
    const { text } = await refuse({ kind: 'pieces', pieces: tooMuch() })
    expect(text).toMatch(/does not fit|no space|ENOSPC/i)
  })

  it('wrote nothing outside the root', async () => {
    expect((await runIn(guest, 'ls -d /evil /*/evil /run/diskless/evil 2>/dev/null')).output).toBe('')
  })

  it('that `diskless overlay new` made boots from there, with its users and their owners', async () => {
    const place = join(scratch, 'box.apkovl.tar.gz')
    const secret = join(scratch, 'password')
    writeFileSync(secret, `${passwordHash}\n`)
    const words = ['--hostname', 'box', '--no-default-services', '--service', 'sysinit:devfs,boot:hostname']
    const users = ['--user', 'ada:1234:wheel', '--password-file', secret, '--password-file', `${secret}=ada`]
    const files = ['--file', `${secret}=/srv/secret:0640:ada:wheel`]
    execFileSync(process.execPath, [diskless, 'overlay', 'new', place, ...words, ...users, ...files])
    server.behaveWell()
    server.behave(overlayPath, { kind: 'bytes', bytes: readFileSync(place) })
    retry(guest)
    await handover(guest)
    await logIn(guest, password, patience)
    const look =
      'hostname; id -u ada; ls -lnd /home/ada /srv/secret /etc/shadow | cut -c1-10; su ada -c "cat /srv/secret"'
    expect((await runIn(guest, look)).output).toBe(
      `box\n1234\n-rw-r-----\ndrwxr-xr-x\n-rw-r-----\n${passwordHash}\n`,
    )
    const { attempt, bytes } = await reports.until(({ state }) => state === 'up', patience)
    expect(attempt).toBeGreaterThan(1)
    expect(bytes.get('packages')).toBeGreaterThan(1e6)
  })
})
