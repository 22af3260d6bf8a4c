/**
 * A machine whose clock says 2001 boots over https, from a server that asks who it is. Pain: certificates that are "not yet
 * valid".
 */

import { execFileSync } from 'node:child_process'
import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, expect, inject, it } from 'vitest'
import { build } from '../../build/index.ts'
import { kernelDirectory } from '../../scripts/kernel.ts'
import { password } from '../../scripts/repository/overlay.ts'
import { describeInLab } from '../support/lab/describe.ts'
import { Lab } from '../support/lab/index.ts'
import type { Machine } from '../support/qemu/machine.ts'
import { bootGuest, logIn, patience, refusal, runIn } from './guest.ts'
import { overlayOf } from './stick.ts'

describeInLab('over https', () => {
  const scratch = mkdtempSync(join(tmpdir(), 'diskless-tls-'))
  let lab: Lab
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

  beforeAll(async () => {
    const files = join(scratch, 'files')
    cpSync(join(inject('demo'), 'apks'), join(files, 'apks'), { recursive: true })
    writeFileSync(join(files, 'box.apkovl.tar.gz'), overlayOf('secure'))
    const https = { ...server, clients: us.certificate }
    lab = await Lab.start({ http: files, https })
  })
  afterEach(() => guest?.stop())
  afterAll(async () => {
    await lab?.stop()
    rmSync(scratch, { recursive: true })
  })

  const boot = (initrd: string) =>
    bootGuest({
      cards: [{ kind: 'tap', lab }],
      clock: '2001-01-01T00:00:00',
      initrd,
      append: [
        'ip=dhcp',
        `apkovl=https://${Lab.address}/box.apkovl.tar.gz`,
        `alpine_repo=https://${Lab.address}/apks`,
      ],
    })

  it('boots with the clock of 2001, by the date that the server tells in the clear', async () => {
    guest = await boot(await initrdWith('ours', { clientIdentity: us }))
    await logIn(guest, password, 2 * patience)
    expect(guest.console.text).toMatch(/clock +\S+ s +was .* behind, says web server 10\.77\.0\.1/)
    const { output } = await runIn(guest, 'hostname; date -u +%s')
    const [hostname, seconds] = output.trim().split('\n')
    expect(hostname).toBe('secure')
    expect(Math.abs(Number(seconds) * 1000 - Date.now())).toBeLessThan(600_000)
    expect(lab.log('http')).toMatch(/"GET \/box\.apkovl\.tar\.gz HTTP\/1\.1" 200/)
  })

  it('says that the server wants to know who asks', async () => {
    guest = await boot(await initrdWith('nobody', {}))
    const { phase, text } = await refusal(guest)
    expect(phase, text).toMatch(/overlay|index/)
    expect(text).toMatch(/400|certificate/i)
  })
})
