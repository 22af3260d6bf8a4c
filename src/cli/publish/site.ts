/** What the files of a published directory say, decided: the texts are pure functions of it. */

/** `52:54:00:12:34:56`: lower case, colons. */
export type MacAddress = string

export type Loader = 'ipxe' | 'pxelinux' | 'grub'

export interface Site {
  /** The published directory on the boot server, absolute. */
  readonly directory: string
  /** Where clients find it, with a slash at its end; undefined: by TFTP alone. */
  readonly url: string | undefined
  /** For https: absolute paths. */
  readonly tls: Tls | undefined
  readonly boot: BootFiles
  readonly ip: AddressHandOver
  /** The kernel command line, a word each, without the kernel's quotes: `a=b c`. For machines that have none of their own. */
  readonly words: readonly string[]
  readonly machines: readonly SiteMachine[]
  /** Whose files are written. */
  readonly loaders: readonly Loader[]
  readonly firmware: Firmware
  readonly network: Network | undefined
  readonly nfs: NfsExport | undefined
}

export interface Tls {
  readonly certificate: string
  readonly key: string
}

/** Paths in the directory. */
export interface BootFiles {
  readonly kernel: string
  readonly initrd: string
}

/** `lease`: what the loader was given, as a fixed address, as far as the loader can tell; `dhcp`: asked for anew. */
export type AddressHandOver = 'dhcp' | 'lease' | 'as the command line says'

export interface SiteMachine {
  readonly mac: MacAddress
  readonly hostname: string | undefined
  /** Which the DHCP server gives it. */
  readonly address: string | undefined
  /** Its whole command line. */
  readonly words: readonly string[]
}

/** What DHCP tells firmware to fetch by TFTP; undefined: there is nothing for it in the directory. */
export interface Firmware {
  readonly bios: string | undefined
  readonly efi: string | undefined
}

export interface Network {
  /** The boot server's own address. */
  readonly server: string
  /** The subnet's first address, its prefix length and the mask of it. */
  readonly subnet: string
  readonly prefixLength: number
  readonly mask: string
  readonly interface: string | undefined
  /** First and last that are handed out. */
  readonly range: readonly [string, string]
  readonly router: string | undefined
  readonly dns: readonly string[]
  readonly leaseSeconds: number
}

export interface NfsExport {
  /** Absolute, on the server. */
  readonly path: string
}

/** As iPXE, pxelinux and GRUB look for files of one machine. */
export function hyphened(mac: MacAddress): string {
  return mac.replaceAll(':', '-')
}

/** As a person calls it where it has no name. */
export function nameOf({ hostname, mac }: SiteMachine): string {
  return hostname ?? mac
}

/** For the first line of every file: these are written anew. */
export const origin = "Made by 'diskless publish': changes to this file are lost when it publishes again."
