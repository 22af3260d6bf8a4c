/** Who this machine is: what a server may be asked for by name, with {MAC} and {UUID} in a URL. */
import { BootError } from '../sys/error.ts'

export interface Identity {
  /** SMBIOS system UUID as /sys/class/dmi/id/product_uuid has it, lower case; undefined where there is none. */
  readonly uuid: string | undefined
  /** `QEMU Standard PC (i440FX + PIIX, 1996)`; undefined where the firmware does not say. */
  readonly product: string | undefined
  /** `uname -r`. */
  readonly kernel: string
  /** apk's name of the architecture: `x86_64`. */
  readonly architecture: string
  /** Bytes, MemAvailable when init began. */
  readonly memoryAvailable: number
  /** Undefined: the builder did not say when it was. */
  readonly clock: MachineClock | undefined
}

export interface MachineClock {
  /** When the initrd was built, milliseconds since 1970. */
  readonly builtAt: number
  /** It was before that when init began: it stands, or was never set. */
  readonly stopped: boolean
}

/** Replaces every {MAC} and {UUID}. A name that this machine cannot fill in is an error, not an empty string. */
export function fillIn(
  template: string,
  known: { mac: string | undefined; uuid: string | undefined },
): string {
  return template.replace(/\{(MAC|UUID)\}/g, (placeholder) => {
    const value = placeholder === '{MAC}' ? known.mac : known.uuid
    if (value !== undefined) return value
    throw new BootError(`${template} asks for ${placeholder}, which this machine does not have`, {
      advice:
        placeholder === '{UUID}'
          ? [
              'the firmware gives no SMBIOS UUID: use {MAC}, or set the UUID in the firmware or the virtual machine',
            ]
          : ['{MAC} is known once a network card has a lease: ask for the network with ip='],
    })
  })
}
