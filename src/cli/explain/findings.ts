/** What does not fit together before anybody is asked: the plan, the machine and the initrd. */

import type { BootPlan } from '../../boot/plan.ts'
import { type RootPlan, urlsOf } from '../../boot/root-plan.ts'
import type { Settings } from '../../boot/settings.ts'
import { hostOf, redactUrl, schemeOf, sourceOf } from '../../network/url.ts'
import { BootError } from '../../sys/index.ts'
import { filledIn, type MachineFacts, missingIn } from './facts.ts'

export interface Finding {
  /** `fails`: the boot would stop there. `doubt`: worth a look. */
  readonly state: 'fails' | 'doubt' | 'good'
  readonly text: string
}

export function findingsOf(plan: BootPlan, settings: Settings, machine: MachineFacts): readonly Finding[] {
  const { initrd } = machine
  return [
    ...placeholders(plan, machine),
    ...schemes(plan.root),
    ...networkOff(plan),
    ...itself(plan.root),
    ...(settings.all('console').length === 0
      ? [doubt('no console= is given: the kernel chooses one, on many servers a screen that nobody sees')]
      : []),
    ...(initrd === undefined ? [] : ofInitrd(plan, machine, initrd)),
  ]
}

const fails = (text: string): Finding => ({ state: 'fails', text })
const doubt = (text: string): Finding => ({ state: 'doubt', text })
const good = (text: string): Finding => ({ state: 'good', text })

function placeholders({ root }: BootPlan, machine: MachineFacts): readonly Finding[] {
  const texts = [
    ...urlsOf(root),
    ...(root.kind === 'ram' && root.overlay.kind === 'path' ? [root.overlay.path] : []),
    ...(root.kind === 'ram' && root.lock?.kind === 'path' ? [root.lock.path] : []),
  ]
  const missing = new Set(texts.flatMap((text) => missingIn(filledIn(text, machine))))
  return [...missing].map((placeholder) =>
    doubt(
      placeholder === '{MAC}'
        ? '{MAC} is the machine’s: --mac says which one is meant here'
        : '{UUID} is the machine’s, of its firmware: --uuid says which one is meant here; a machine without any stops there',
    ),
  )
}

function schemes(root: RootPlan): readonly Finding[] {
  return urlsOf(root).flatMap((url) => {
    try {
      sourceOf(url, { connectMs: 0, stallMs: 0, totalMs: 0 })
      return []
    } catch (error) {
      if (!(error instanceof BootError)) throw error
      return [fails(error.message)]
    }
  })
}

function itself(root: RootPlan): readonly Finding[] {
  const hosts = new Set(urlsOf(root).flatMap((url) => hostOf(url) ?? []))
  return [...hosts]
    .filter((host) => /^(?:127\.|localhost$|::1$)/.test(host))
    .map((host) =>
      doubt(`${host} is the machine itself when it boots: name the server by the address that it has there`),
    )
}

function networkOff({ network, root }: BootPlan): readonly Finding[] {
  const byNfs =
    root.kind === 'nfs' ||
    (root.kind === 'image' && root.image.kind === 'nfs') ||
    (root.kind === 'ram' && root.medium?.kind === 'nfs')
  const urls = urlsOf(root)
  if (network.kind === 'join' || (!byNfs && urls.length === 0)) return []
  return [
    fails(
      `ip=off leaves the network alone, and ${urls.length > 0 ? redactUrl(urls[0] ?? '') : 'the NFS share'} comes by it`,
    ),
  ]
}

function ofInitrd(
  plan: BootPlan,
  { cards }: MachineFacts,
  initrd: NonNullable<MachineFacts['initrd']>,
): readonly Finding[] {
  const { root } = plan
  const secure = urlsOf(root).some((url) => schemeOf(url) === 'https')
  const nfs =
    root.kind === 'nfs' ||
    (root.kind === 'image' && root.image.kind === 'nfs') ||
    (root.kind === 'ram' && root.medium?.kind === 'nfs')
  const image =
    root.kind === 'image' && root.image.kind === 'path' && root.image.medium === 'initrd'
      ? root.image.path
      : undefined
  return [
    ...(root.kind === 'ram' && initrd.keys.size === 0
      ? [doubt('the initrd has no key of a repository: only an overlay that brings one can install anything')]
      : []),
    ...(root.kind === 'ram' && initrd.keys.size > 0
      ? [good(`repositories may be signed by ${[...initrd.keys.keys()].join(', ')}`)]
      : []),
    ...(secure && initrd.certificates === undefined
      ? [fails('the initrd trusts no certificate: https cannot be had (diskless build --ca)')]
      : []),
    ...(nfs && !initrd.modules.has('nfs')
      ? [
          fails(
            'the initrd has no driver of NFS (diskless build --modules nfs), unless the kernel has it built in',
          ),
        ]
      : []),
    ...(image !== undefined && !initrd.has(image)
      ? [
          fails(
            `the initrd has no ${image} (diskless build --image FILE=${image}), unless the loader brings it`,
          ),
        ]
      : []),
    ...(plan.keymap !== undefined && plan.keymap !== 'ask' && !initrd.keymaps.includes(plan.keymap)
      ? [
          doubt(
            `the initrd has no keymap ${plan.keymap}; it has ${initrd.keymaps.join(', ') || 'none'} (diskless build --keymap)`,
          ),
        ]
      : []),
    ...plan.modules
      .filter((name) => !initrd.modules.has(name.replaceAll('-', '_')))
      .map((name) =>
        doubt(`modules=${name}: the initrd has no module of that name, unless the kernel has it built in`),
      ),
    ...cards
      .filter((card) => initrd.driversOf(card).length === 0)
      .map((card) =>
        doubt(
          `no module of the initrd drives ${card}, unless the kernel has it built in (diskless build --modules)`,
        ),
      ),
  ]
}
