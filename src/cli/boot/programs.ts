/** What has to be on this machine for another one to be emulated: QEMU, a UEFI firmware, a KVM that works. */
import { spawn, spawnSync } from 'node:child_process'
import { accessSync, constants, copyFileSync, existsSync } from 'node:fs'
import { join } from 'node:path'
import { CommandError } from '../../../build/error.ts'
import type { Hardware } from './hardware.ts'
import { usualLauncher } from './machine.ts'

/** Throws a `CommandError`. */
export function needQemu(): void {
  const { error } = spawnSync('qemu-system-x86_64', ['--version'], { stdio: 'ignore' })
  if (error === undefined) return
  throw new CommandError('qemu-system-x86_64 is not here', {
    cause: error,
    advice: [
      'Debian: apt install qemu-system-x86. Alpine: apk add qemu-system-x86_64. Fedora: dnf install qemu-system-x86-core.',
    ],
  })
}

/** busybox' setpriv cannot do it; without it a guest outlives a `kill -9` of this process, but nothing else. */
export function launcher(): readonly string[] {
  const [program, ...words] = usualLauncher
  return spawnSync(program, [...words, 'true'], { stdio: 'ignore' }).status === 0 ? usualLauncher : []
}

const firmwares: readonly (readonly [code: string, variables: string])[] = [
  ['/usr/share/OVMF/OVMF_CODE_4M.fd', '/usr/share/OVMF/OVMF_VARS_4M.fd'],
  ['/usr/share/OVMF/OVMF_CODE.fd', '/usr/share/OVMF/OVMF_VARS.fd'],
  ['/usr/share/edk2/ovmf/OVMF_CODE.fd', '/usr/share/edk2/ovmf/OVMF_VARS.fd'],
  ['/usr/share/edk2/x64/OVMF_CODE.4m.fd', '/usr/share/edk2/x64/OVMF_VARS.4m.fd'],
]

/** With variables of its own in `directory`. Throws a `CommandError`. */
export function uefi(directory: string): NonNullable<Hardware['firmware']> {
  const found = firmwares.find((files) => files.every((file) => existsSync(file)))
  if (found === undefined) {
    throw new CommandError('no UEFI firmware for QEMU (OVMF) is here', {
      advice: [
        'Debian and Alpine have it in the package ovmf, Fedora in edk2-ovmf. Or leave --uefi out: a BIOS.',
      ],
    })
  }
  const variables = join(directory, 'variables.fd')
  copyFileSync(found[1], variables)
  return { code: found[0], variables }
}

/** How long a BIOS may take for its first word; a processor that runs at all needs milliseconds. */
const patienceMs = 5000

/** Undefined: KVM works. Else why it does not: it may be there, and open, and then run nothing. */
export async function whyNoKvm(): Promise<string | undefined> {
  try {
    accessSync('/dev/kvm', constants.R_OK | constants.W_OK)
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
  const words = ['-accel', 'kvm', '-nodefaults', '-display', 'none', '-m', '16']
  const saying = ['-chardev', 'stdio,id=said', '-device', 'isa-debugcon,iobase=0x402,chardev=said']
  const [program = '', ...command] = [...launcher(), 'qemu-system-x86_64', ...words, ...saying]
  const child = spawn(program, command, { stdio: ['pipe', 'pipe', 'pipe'] })
  let complaint = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    complaint += text
  })
  return new Promise<string | undefined>((resolve) => {
    const late = setTimeout(() => resolve('/dev/kvm opens, but nothing runs'), patienceMs)
    child.stdout.once('data', () => resolve(undefined))
    child.once('error', (error) => resolve(error.message))
    child.once('close', () => {
      clearTimeout(late)
      resolve(complaint.trim() || 'QEMU ended at once')
    })
  }).finally(() => child.kill('SIGKILL'))
}
