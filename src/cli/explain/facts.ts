/** What is known of the machine, from the person who asks and from the initrd that it boots. */

import type { Identity } from '../../boot/identity.ts'
import type { BootInitrd } from './boot-initrd.ts'

export interface MachineFacts {
  /** As {MAC} is filled in: lower case, colons. */
  readonly mac: string | undefined
  readonly uuid: string | undefined
  /** Modaliases, or names of drivers. */
  readonly cards: readonly string[]
  /** Bytes; undefined: not told. */
  readonly memory: number | undefined
  readonly architecture: string
  readonly initrd: BootInitrd | undefined
}

/** As init would find it. */
export function identityOf({ uuid, memory, architecture, initrd }: MachineFacts): Identity {
  return {
    uuid,
    product: undefined,
    kernel: initrd?.kernel ?? 'unknown',
    architecture,
    memoryAvailable: memory ?? 0,
    // A clock that stands is told in the story: nobody knows it from here.
    clock: initrd?.builtAt === undefined ? undefined : { builtAt: initrd.builtAt, stopped: false },
  }
}

/** With what is known filled in; what is not stays as it is written. */
export function filledIn(template: string, { mac, uuid }: Pick<MachineFacts, 'mac' | 'uuid'>): string {
  return template.replace(/\{(MAC|UUID)\}/g, (placeholder) =>
    placeholder === '{MAC}' ? (mac ?? placeholder) : (uuid ?? placeholder),
  )
}

/** What of {MAC} and {UUID} is in it still. */
export function missingIn(text: string): readonly string[] {
  return [...new Set(text.match(/\{(?:MAC|UUID)\}/g) ?? [])]
}
