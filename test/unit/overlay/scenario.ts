/** Overlays unpacked on the fake machine. */

import { createSign, generateKeyPairSync } from 'node:crypto'
import { gzipSync } from 'node:zlib'
import { expect } from 'vitest'
import { directory, file, writeTar } from '../../../scripts/repository/tar.ts'
import type { OverlayChecks, OverlayPlan } from '../../../src/boot/root-plan.ts'
import { noMedia } from '../../../src/media/media.ts'
import { fetchPipeline } from '../../../src/network/fetch.ts'
import { type MediaOfOverlay, unpackOverlay } from '../../../src/overlay/apkovl.ts'
import { BootError, chainOf } from '../../../src/sys/index.ts'
import { fakeMachine, type MachineOptions } from '../../support/machine/index.ts'

/** An overlay whose etc/hostname says which one it is. */
export function overlayOf(hostname: string): Buffer {
  return gzipSync(writeTar([directory('etc'), file('etc/hostname', `${hostname}\n`)]))
}

export const url = 'http://10.0.2.2/guest.apkovl.tar.gz'

const unchecked: OverlayChecks = {
  sha256: undefined,
  optional: false,
  passwordUrls: [],
  backup: undefined,
}

export function byUrl({
  url: at = url,
  urls = [at],
  ...change
}: Partial<OverlayChecks> & { readonly url?: string; readonly urls?: readonly string[] } = {}): OverlayPlan {
  return { kind: 'url', urls, ...unchecked, ...change }
}

/** One of the initrd or of a medium. */
export function byPath(path: string, change: Partial<OverlayChecks> = {}): OverlayPlan {
  return { kind: 'path', path, ...unchecked, ...change }
}

export function bySearch(change: Partial<OverlayChecks> = {}): OverlayPlan {
  return { kind: 'search', ...unchecked, ...change }
}

export function onDevice(path: string | undefined, change: Partial<OverlayChecks> = {}): OverlayPlan {
  const device = { kind: 'label', value: 'APKOVL' } as const
  return { kind: 'device', place: { device, fsType: undefined, path }, ...unchecked, ...change }
}

export interface Unpacked {
  /** What etc/hostname of the root says; undefined: nothing was unpacked. */
  readonly hostname: string | undefined
  readonly from: string | undefined
  readonly warned: readonly string[]
  /** Where the sinks of pipelines put what they read. */
  readonly sinks: readonly string[]
  readonly console: string
}

export async function unpack(
  plan: OverlayPlan,
  options: MachineOptions = {},
  media: Partial<MediaOfOverlay> = {},
): Promise<Unpacked> {
  return (await attempt(plan, options, media)).done
}

/** The messages of a refusal with its advice. Nothing of the overlay is in the root, and no copy of it is left. */
export async function refusal(
  plan: OverlayPlan,
  options: MachineOptions = {},
  media: Partial<MediaOfOverlay> = {},
): Promise<string> {
  const { machine, error } = await attempt(plan, options, media).then(
    () => expect.fail('it was unpacked'),
    (failed: Failed) => failed,
  )
  expect(await machine.files.list('/sysroot')).toEqual([])
  await expect(machine.files.list('/run/diskless/overlay')).rejects.toMatchObject({ code: 'ENOENT' })
  if (!(error instanceof BootError)) throw error
  return [...chainOf(error), ...error.advice].join('\n')
}

interface Failed {
  readonly machine: ReturnType<typeof fakeMachine>
  readonly error: unknown
}

async function attempt(plan: OverlayPlan, options: MachineOptions, media: Partial<MediaOfOverlay>) {
  const machine = fakeMachine(options)
  await machine.files.makeDirectory('/sysroot')
  const warned: string[] = []
  const target = {
    root: '/sysroot',
    mac: '52:54:00:00:00:01',
    uuid: '6c1f3f4e-0000-4000-8000-525400123456',
    fetch: fetchPipeline,
    consoles: async () => ['/dev/ttyS0'],
    onWarning: (text: string) => warned.push(text),
  }
  try {
    const overlay = await machine.run(unpackOverlay(machine, plan, target, { ...noMedia, ...media }, {}))
    const hostname = await machine.files.resolveIn('/sysroot', '/etc/hostname')
    await expect(machine.files.list('/run/diskless/overlay')).rejects.toMatchObject({ code: 'ENOENT' })
    return {
      machine,
      done: {
        hostname: hostname === undefined ? undefined : (await machine.files.readText(hostname)).trim(),
        from: overlay?.from,
        warned,
        sinks: machine.pipelines.ran.map(({ sink }) => sink.kind),
        console: machine.consoles.text(),
      },
    }
  } catch (error) {
    const failed: Failed = { machine, error }
    throw failed
  }
}

const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
export const publicPem = publicKey.export({ type: 'spki', format: 'pem' }).toString()

/** As `openssl dgst -sha256 -sign KEY`. */
export function sign(bytes: Buffer): Buffer {
  return createSign('sha256').update(bytes).sign(privateKey)
}
