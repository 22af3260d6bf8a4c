/** `diskless explain`: what a machine will do with a kernel command line, before it does it. */

import { readInput, readKeys } from '../../build/inputs.ts'
import { readAuthorities } from '../../build/tls.ts'
import { parseBytes } from '../boot/bytes.ts'
import { parseBootInterface } from '../boot/ip-parameter.ts'
import { UsageError } from './command.ts'
import { defineCommand } from './define.ts'
import { readBootInitrd } from './explain/boot-initrd.ts'
import { type Check, checkPlan } from './explain/check.ts'
import { type Explanation, explainCommandLine } from './explain/explanation.ts'
import type { MachineFacts } from './explain/facts.ts'
import { explanationSheet } from './explain/sheet.ts'
import type { readOptions } from './options.ts'
import { printSheet } from './sheet.ts'

const description = {
  name: 'explain',
  about: 'says what a machine will do with a kernel command line, and whether it works',
  forms: ["'COMMAND LINE' [OPTIONS]"],
  positionals: { name: "'COMMAND LINE'", least: 1, most: 512 },
  question: { no: 'init would refuse the command line, or something that was asked for would fail' },
  options: {
    mac: { type: 'string', value: 'MAC', about: 'the machine’s hardware address: what {MAC} is in a URL' },
    uuid: { type: 'string', value: 'UUID', about: 'its SMBIOS UUID: what {UUID} is' },
    cards: {
      type: 'string',
      multiple: true,
      value: 'LIST',
      about:
        'its network cards: modaliases (cat /sys/class/net/*/device/modalias there), or drivers separated by commas',
    },
    memory: { type: 'string', value: 'SIZE', about: 'how much it has, 2G for one: whether the root fits' },
    arch: { type: 'string', value: 'ARCH', about: 'apk’s name of its architecture [x86_64]' },
    initrd: {
      type: 'string',
      value: 'FILE',
      about:
        'what it boots: its keys, certificates, modules and keymaps are then looked at, and go for --keys and --ca',
    },
    check: {
      type: 'boolean',
      about: 'ask the servers, from here: is it there, how large, signed by whom, does the world resolve',
    },
    apkovl: {
      type: 'string',
      value: 'FILE',
      about: 'for --check: the overlay that a medium is going to have, where apkovl= names no URL',
    },
    keys: {
      type: 'string',
      multiple: true,
      value: 'PLACE',
      about: 'public keys that the initrd has or will have: a file, or a directory of *.rsa.pub',
      complete: 'file',
    },
    ca: {
      type: 'string',
      value: 'FILE|public',
      about: 'the authorities that the initrd trusts or will trust, PEM [the initrd’s, or this machine’s]',
    },
  },
  notes: [
    'Parameters are read as init reads them, by the same code. The story is in the order of a boot; phases that wait for none of each other run side by side. Nothing is booted, fetched or written without --check, and with it nothing but questions are asked, through the proxies that the command line names.',
  ],
  examples: [
    {
      command: 'diskless explain "$(cat /proc/cmdline)"',
      about: 'what this machine would do with its own command line',
    },
    {
      command:
        "diskless explain 'ip=dhcp apkovl=http://boot/{MAC}.apkovl.tar.gz alpine_repo=http://boot/apks' --mac 52:54:00:12:34:56 --initrd /srv/boot/initrd --check",
      about: 'whether a machine would boot: servers, signatures, packages',
    },
  ],
} as const

type Values = ReturnType<typeof readOptions<typeof description.options>>['values']

export const explainCommand = defineCommand({
  ...description,
  async run({ values, positionals }, output) {
    const machine = await machineOf(values)
    const explanation = explainCommandLine(asOneLine(positionals), machine)
    const keys = new Map([
      ...(machine.initrd?.keys ?? []),
      ...(values.keys === undefined ? [] : readKeys(values.keys)),
    ])
    const ca = values.ca === undefined ? machine.initrd?.certificates : readAuthorities(values.ca)
    let checks: readonly Check[] | undefined
    if (values.check && explanation.plan !== undefined) {
      const progress = output.progress('asking the servers', 'things')
      let asked = 0
      const tell = () => progress.update(++asked)
      const overlay =
        values.apkovl === undefined
          ? {}
          : { overlay: { name: values.apkovl, bytes: readInput(values.apkovl) } }
      checks = await checkPlan(explanation.plan, { machine, keys, ca, tell, ...overlay }).finally(() =>
        progress.end(),
      )
    }
    output.result(dataOf(explanation, machine, checks), () =>
      printSheet(explanationSheet(explanation, checks, machine, output), output),
    )
    return fails(explanation, checks) ? 1 : 0
  },
})

/** The shell took the quotes of several words away: those with spaces get them again, as the kernel reads them. */
export function asOneLine(words: readonly string[]): string {
  const [only, ...more] = words
  if (only !== undefined && more.length === 0) return only
  return words.map((word) => (/\s/.test(word) ? `"${word}"` : word)).join(' ')
}

/** Throws a `UsageError`. */
export async function machineOf(values: Values): Promise<MachineFacts> {
  const mac = values.mac === undefined ? undefined : parseBootInterface(`01-${values.mac}`)
  if (values.mac !== undefined && mac === undefined) {
    throw new UsageError(`--mac ${values.mac} is no hardware address`, 'It looks like 52:54:00:12:34:56.')
  }
  const uuid = values.uuid?.toLowerCase()
  if (uuid !== undefined && !/^[\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12}$/.test(uuid)) {
    throw new UsageError(
      `--uuid ${values.uuid} is no UUID`,
      'The machine’s: cat /sys/class/dmi/id/product_uuid',
    )
  }
  const memory = values.memory === undefined ? undefined : parseBytes(values.memory)
  if (values.memory !== undefined && memory === undefined) {
    throw new UsageError(`--memory ${values.memory} is no size`, 'It looks like 512M or 2G.')
  }
  return {
    mac,
    uuid,
    cards: (values.cards ?? []).flatMap((text) =>
      text.includes(':') ? [text] : text.split(',').filter(Boolean),
    ),
    memory,
    architecture: values.arch ?? 'x86_64',
    initrd: values.initrd === undefined ? undefined : await readBootInitrd(values.initrd),
  }
}

export function fails({ refused, findings }: Explanation, checks: readonly Check[] | undefined): boolean {
  const contradicts = findings.some(({ state }) => state === 'fails')
  return refused !== undefined || contradicts || (checks?.some(({ state }) => state === 'fails') ?? false)
}

/** For `--json`. The plan has passwords of URLs in it, and stays here. */
function dataOf(
  { words, refused, steps, onFailure, findings, alpine }: Explanation,
  machine: MachineFacts,
  checks: readonly Check[] | undefined,
) {
  const { mac, uuid, cards, memory, architecture, initrd } = machine
  return {
    machine: { mac, uuid, cards, memory, architecture },
    ...(initrd === undefined
      ? {}
      : {
          initrd: {
            path: initrd.path,
            kernel: initrd.kernel,
            keys: [...initrd.keys.keys()],
            modules: initrd.modules.size,
          },
        }),
    words,
    ...(refused === undefined ? {} : { refused }),
    steps: onFailure === undefined ? steps : [...steps, onFailure],
    findings,
    alpine,
    ...(checks === undefined ? {} : { checks }),
  }
}
