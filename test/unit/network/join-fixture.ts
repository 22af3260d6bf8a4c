/** joinNetwork on the fake machine, with what a test asks about afterwards. */

import { parseIpParameters } from '../../../src/boot/ip-parameter.ts'
import { parseStackedLinks } from '../../../src/boot/stacked-links.ts'
import { joinNetwork } from '../../../src/network/join.ts'
import type { JoinRequest } from '../../../src/network/join-request.ts'
import type { NetworkUp } from '../../../src/network/network-up.ts'
import { BootError } from '../../../src/sys/index.ts'
import { fakeMachine, type LinkScript, type MachineOptions } from '../../support/machine/index.ts'

export interface Words {
  readonly ip?: readonly string[]
  readonly bootdev?: string
  readonly vlan?: readonly string[]
  readonly bond?: readonly string[]
}

export function joining(links: readonly LinkScript[], options: Omit<MachineOptions, 'links'> = {}) {
  const machine = fakeMachine({ ...options, links: [{ name: 'lo', physical: false }, ...links] })
  const notices: string[] = []
  const startedAt = machine.clock.now()
  const start = ({ ip = [], bootdev, vlan = [], bond = [] }: Words, request: Partial<JoinRequest>) => {
    const { boot, others } = parseIpParameters(ip, bootdev)
    const stacked = parseStackedLinks(vlan, bond)
    if (stacked.kind === 'refused') throw new Error(stacked.reason)
    return joinNetwork(
      machine,
      { ip: boot, others, stacked: stacked.links, ...request },
      { onNotice: (text) => notices.push(text) },
      new AbortController().signal,
    )
  }
  return {
    machine,
    notices,
    join: (words: Words = {}, request: Partial<JoinRequest> = {}): Promise<NetworkUp> =>
      machine.run(start(words, request)),
    async failure(words: Words = {}, request: Partial<JoinRequest> = {}): Promise<BootError> {
      const error: unknown = await machine.run(
        start(words, request).then(
          () => new Error('it came up'),
          (e: unknown) => e,
        ),
      )
      if (!(error instanceof BootError)) throw error
      return error
    },
    elapsed: () => machine.clock.now() - startedAt,
    link: async (name: string) => (await machine.network.links()).find((link) => link.name === name),
    up: async () => (await machine.network.links()).filter(({ up }) => up).map(({ name }) => name),
    released: () =>
      machine.network.sent
        .filter(({ message }) => message.options.messageType === 'release')
        .map(({ link, message }) => `${link} ${message.ciaddr}`),
    resolvConf: () => machine.files.readText('/etc/resolv.conf'),
    bonding: (bond: string, option: string) =>
      machine.files.readText(`/sys/class/net/${bond}/bonding/${option}`),
  }
}
