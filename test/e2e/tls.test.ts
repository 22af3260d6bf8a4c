/**
 * A machine whose clock says 2001 boots over https, from a server that asks who it is. Pain: certificates that are "not yet
 * valid". Who tells the time: the lease's NTP server, else a web server in the clear.
 */

import { execFileSync } from 'node:child_process'
import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, expect, inject, it } from 'vitest'
import { build } from '../../build/index.ts'
import { kernelDirectory } from '../../scripts/kernel.ts'
import { password } from '../../scripts/repository/overlay.ts'
import type { Machine } from '../../src/cli/boot/machine.ts'
import { describeInLab } from '../support/lab/describe.ts'
import { Lab, type LabOptions } from '../support/lab/index.ts'
import { bootGuest, logIn, patience, refusal, runIn } from './guest.ts'
import { overlayOf } from './stick.ts'

describeInLab('over https', () => {
  const scratch = mkdtempSync(join(tmpdir(), 'diskless-tls-'))
  let lab: Lab | undefined
  let start: (more?: LabOptions) => Promise<Lab>
  let guest: Machine

  const make = (name: string) => {
    const kind = ['-nodes', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-days', '2']
    const about = ['-subj', `/CN=${name}`, '-addext', `subjectAltName=IP:${Lab.address}`]
    const [certificate, key] = [join(scratch, name), join(scratch, `${name}.key`)]
    const words = [...kind, ...about, '-addext', 'basicConstraints=critical,CA:FALSE']
    execFileSync('openssl', ['req', '-x509', ...words, '-keyout', key, '-out', certificate], {
      stdio: 'ignore',
    })
    return { certificate, key }
  }
  const server = make('server')
  const us = make('us')

  const initrdWith = async (out: string, change: Partial<Parameters<typeof build>[0]>) => {
    const built = await build({
      kernel: await kernelDirectory(),
      modules: ['virtio'],
      keys: [join(inject('demo'), 'keys')],
      certificates: server.certificate,
      level: 3,
      out: join(scratch, out),
      ...change,
    })
    return built.initrd
  }

  beforeAll(() => {
    const files = join(scratch, 'files')
    cpSync(join(inject('demo'), 'apks'), join(files, 'apks'), { recursive: true })
    writeFileSync(join(files, 'box.apkovl.tar.gz'), overlayOf('secure'))
    const https = { ...server, clients: us.certificate }
    start = (more = {}) => Lab.start({ http: files, https, ...more })
  })
  afterEach(async () => {
    await guest?.stop()
    await lab?.stop()
  })
  afterAll(() => rmSync(scratch, { recursive: true }))

  const boot = (lab: Lab, initrd: string, clock = '2001-01-01T00:00:00') =>
    bootGuest({
      cards: [{ kind: 'tap', lab }],
      clock,
      initrd,
      append: [
        'ip=dhcp',
        `apkovl=https://${Lab.address}/box.apkovl.tar.gz`,
        `alpine_repo=https://${Lab.address}/apks`,
      ],
    })

  it('boots with the clock of 2001, by the date that the server tells in the clear', async () => {
    lab = await start()
    guest = await boot(lab, await initrdWith('ours', { clientIdentity: us }))
    await logIn(guest, password, 2 * patience)
    expect(guest.console.text).toMatch(/clock +\S+ s +was .* behind, says web server 10\.77\.0\.1/)
    const { output } = await runIn(guest, 'hostname; date -u +%s')
    const [hostname, seconds] = output.trim().split('\n')
    expect(hostname).toBe('secure')
    expect(Math.abs(Number(seconds) * 1000 - Date.now())).toBeLessThan(600_000)
    expect(lab.log('http')).toMatch(/"GET \/box\.apkovl\.tar\.gz HTTP\/1\.1" 200/)
  })

  it('boots with the clock of 1970, by the time server of the lease', async () => {
    // An hour ahead, within what the certificates are good for: nobody else tells that time.
    lab = await start({ ntpAhead: 3600 })
    guest = await boot(lab, await initrdWith('ours', { clientIdentity: us }), '1970-01-01T00:00:00')
    await logIn(guest, password, 2 * patience)
    expect(guest.console.text).toMatch(/clock +\S+ s +was .* behind, says NTP server 10\.77\.0\.1/)
    expect(lab.log('ntp')).toMatch(/time for ::ffff:10\.77\.0\.\d+/)
    expect(lab.log('http'), 'no web server was asked').not.toMatch(/"HEAD /)
    const { output } = await runIn(guest, 'date -u +%s')
    expect(Math.abs(Number(output) - 3600 - Date.now() / 1000)).toBeLessThan(600)
    expect(lab.log('http')).toMatch(/"GET \/box\.apkovl\.tar\.gz HTTP\/1\.1" 200/)
  })

  it('says that the server wants to know who asks', async () => {
    lab = await start()
    guest = await boot(lab, await initrdWith('nobody', {}))
    const { phase, text } = await refusal(guest)
    expect(phase, text).toMatch(/overlay|index/)
    expect(text).toMatch(/400|certificate/i)
  })
})
