/** What diskless.config.ts holds: `export default defineConfig({ … })`. Paths are relative to that file. */

import type { Loader } from './site.ts'

export type DisklessConfig = SiteConfig & (BootedConfig | BuiltConfig)

/** With a kernel and an initrd that are there. */
export interface BootedConfig {
  /** A directory with `vmlinuz` and `initrd`, as `diskless build` writes it. */
  readonly boot: string
  readonly build?: never
}

/** With an initrd that is built while publishing, where what goes into it has changed. */
export interface BuiltConfig {
  readonly build: BuildConfig
  readonly boot?: never
}

/**
 * As the options of `diskless build`. Written out, and not picked from what the builder takes: an editor that reads these types
 * need not know Node's.
 */
export interface BuildConfig {
  /** Public keys of repositories: files, and directories of *.rsa.pub. */
  readonly keys?: readonly string[]
  /** Directories of firmware, besides the kernel's own. */
  readonly firmware?: readonly string[]
  /** Files with public keys of those who sign overlays; with one, an unsigned overlay is refused. */
  readonly overlayKeys?: readonly string[]
  /** Files of keymaps in busybox' format: NAME.bmap or NAME.bmap.gz. */
  readonly keymaps?: readonly string[]
  /** The modloop that init is to accept. */
  readonly modloop?: string
  /** Files named MODLOOP.SIGN.RSA.KEY, as Alpine's initramfs has them. */
  readonly modloopSignatures?: readonly string[]
  /** A PEM file of the authorities that https trusts, or `public`. */
  readonly certificates?: string
  /** Who a machine is to servers that ask for a certificate: two PEM files. */
  readonly clientIdentity?: { readonly certificate: string; readonly key: string }
  /** Files and directories, and their absolute paths in the initrd. */
  readonly files?: readonly { readonly source: string; readonly destination: string }[]
  /** TypeScript files of hooks, in the order in which they run. */
  readonly hooks?: readonly string[]
  /** Who may use the emergency shell; the file holds a password or its hash. */
  readonly shell?: 'open' | 'none' | { readonly passwordFile: string }
  /** `release` unless told. */
  readonly profile?: 'release' | 'dev'
  /**
   * A modules directory, a tree, a linux-image-*.deb, an Alpine linux-*.apk or a modloop; `running`, this system's own;
   * `alpine:linux-lts@URL` or `debian:linux-image-amd64`, fetched and verified.
   */
  readonly kernel: string
  /** OpenPGP keys of a Debian mirror. */
  readonly keyring?: string
  /** A file of modaliases, as `diskless build --from-machine` takes it: what that machine needs is added. */
  readonly fromMachine?: string
  /** The kernel image, where it is neither inside nor beside `kernel`. */
  readonly vmlinuz?: string
  /** Groups and modules: `virtio`, `common-ethernet`, `nfs`, `storage` … [virtio and common-ethernet] */
  readonly modules?: readonly string[]
}

export interface SiteConfig {
  /**
   * Where clients find the published directory by HTTP: `http://10.0.0.1/`. Unless given it is the server of `network`.
   * What is larger than a loader's own files comes from there.
   */
  readonly url?: string
  /** For the kernel and for init, besides what the rest of this file says: `console=ttyS0 quiet`. */
  readonly commandLine?: string
  /**
   * What the loader hands over of the network, besides the card that it booted from. `dhcp`: init asks again, and the
   * lease is kept. `lease`: the loader's own address, for as long as the machine runs, and nobody asks again. iPXE tells
   * all of its lease; pxelinux all but the name servers, which are then those of `network`; GRUB hands over one that has the
   * mask and the router of `network`, and has init ask in any other case. [dhcp, unless the command line has an ip= of its own]
   */
  readonly ip?: 'dhcp' | 'lease'
  /** An apkovl: a file, files by MAC (`overlays/{MAC}.apkovl.tar.gz`), or a URL. */
  readonly overlay?: string
  /** Repositories of packages, the preferred one first: directories that are published, or URLs. */
  readonly repositories?: readonly string[]
  /** The squashfs of kernel modules for the new system: a file, or a URL. */
  readonly modloop?: string
  /** An image of a whole root, squashfs or erofs, that is booted: a file, or a URL. */
  readonly image?: string
  /** What `diskless lock` wrote. Repositories that it names relative to itself are to be among `repositories`. */
  readonly lock?: string
  /** A directory of the boot server that is the root of the machines by NFS. */
  readonly nfsRoot?: string
  /**
   * Whose files are published, the preferred one first: firmware is given the first that is there for it. One that is
   * named here and is not installed is an error. [ipxe, pxelinux and grub, as far as they are installed]
   */
  readonly loaders?: readonly Loader[]
  /**
   * For nginx.conf where `url` is https: two PEM files, of the server's certificate with those between it and its authority,
   * and of its key. [TLS ends at a server before nginx]
   */
  readonly tls?: { readonly certificate: string; readonly key: string }
  /** For the files of DHCP servers. */
  readonly network?: NetworkConfig
  /** Machines that differ, by the MAC address of the card that they boot from. */
  readonly machines?: Readonly<Record<string, MachineConfig>>
  /** The private RSA key, PEM, that signs the manifest. */
  readonly sign?: string
}

export interface NetworkConfig {
  /** The boot server's address, with its prefix length: `10.0.0.1/24`. */
  readonly server: string
  /** First and last address that are handed out. [the upper half of the subnet, as far as it is free] */
  readonly range?: readonly [string, string]
  readonly router?: string
  readonly dns?: readonly string[]
  /** The server's card. [every one] */
  readonly interface?: string
  /** Seconds, 120 at least. [3600] */
  readonly leaseSeconds?: number
}

export interface MachineConfig {
  /** Added to the common one; of what is said twice the last counts. */
  readonly commandLine?: string
  /** In place of the common one. */
  readonly overlay?: string
  readonly hostname?: string
  /** That the DHCP server gives it. */
  readonly address?: string
}

/** The configuration itself: it is there for the editor, which completes and checks what is in it. */
export function defineConfig(config: DisklessConfig): DisklessConfig {
  return config
}
