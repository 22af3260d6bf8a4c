/**
 * The groups of kernel modules that can be asked for by one name, and the modules that a kernel asks for at run time
 * without saying so in their .modinfo.
 */

import type { Module } from './catalog.ts'

export interface Group {
  readonly about: string
  /** By name. Those that a kernel has built in, or does not have, are passed over. */
  readonly names?: readonly string[]
  /** Besides, every module for which this holds. */
  readonly where?: (module: Module) => boolean
}

const hasAlias = (module: Module, bus: string) => module.aliases.some((alias) => alias.startsWith(`${bus}:`))

/** Always in the initrd. */
export const always = ['base', 'input', 'screen'] as const

export const groups = {
  base: {
    about: 'what every boot may need: packet sockets for DHCP, IPv6, loop, squashfs, overlay, the clock',
    names: ['af_packet', 'unix', 'ipv6', 'loop', 'squashfs', 'overlay', 'rtc_cmos', 'crc32c_generic'],
  },
  input: {
    about: 'keyboards, or nobody can type in the emergency shell',
    names: [
      ...[
        'i8042',
        'atkbd',
        'xhci_pci',
        'xhci_hcd',
        'ehci_pci',
        'ohci_pci',
        'uhci_hcd',
        'usbhid',
        'hid_generic',
      ],
      ...['hid_apple', 'hid_cherry', 'hid_lenovo', 'hid_logitech', 'hid_logitech_dj', 'hid_microsoft'],
      'hyperv_keyboard',
    ],
  },
  screen: {
    about: "the firmware's framebuffer as a console",
    names: ['simpledrm'],
  },
  virtio: {
    about: 'the devices of QEMU, KVM and their like',
    names: [
      ...[
        'virtio_pci',
        'virtio_mmio',
        'virtio_net',
        'virtio_blk',
        'virtio_scsi',
        'virtio_console',
        'virtio_rng',
      ],
      'virtio_balloon',
    ],
  },
  'common-ethernet': {
    about: 'ten drivers for most wired cards, all of which work without firmware files',
    names: ['e1000', 'e1000e', 'igb', 'igc', 'ixgbe', 'r8169', '8139cp', 'tg3', 'atlantic', 'vmxnet3'],
  },
  ethernet: {
    about: 'every wired card that this kernel drives, the PHYs on them, VLANs and bonds',
    names: ['virtio_net', 'vmxnet3', 'hv_netvsc', 'xen_netfront', '8021q', 'bonding'],
    where: (module) =>
      (module.path.startsWith('kernel/drivers/net/ethernet/') &&
        // What is on no bus (of, acpi, platform) is soldered to the board: arm64, mostly.
        ['pci', 'of', 'acpi*', 'platform'].some((bus) => hasAlias(module, bus))) ||
      (module.path.startsWith('kernel/drivers/net/phy/') && hasAlias(module, 'mdio')),
  },
  'vlan-bond': {
    about: 'vlan= and bond=',
    names: ['8021q', 'bonding'],
  },
  'usb-ethernet': {
    about: 'wired USB adapters and docks',
    where: (module) =>
      module.path.startsWith('kernel/drivers/net/usb/') &&
      hasAlias(module, 'usb') &&
      // Modems and telephones are no way to a boot server.
      !['hso', 'sierra_net', 'qmi_wwan', 'cdc_mbim', 'cdc_phonet', 'huawei_cdc_ncm', 'ipheth'].includes(
        module.name,
      ),
  },
  nfs: {
    // Owners by number and sec=sys: neither needs request-key or idmapd.
    about: 'NFS 3 and 4 as a client',
    names: ['nfs', 'nfsv3', 'nfsv4', 'nfs_layout_nfsv41_files', 'nfs_layout_flexfiles'],
  },
  storage: {
    about: 'disks, USB sticks, memory cards, optical drives and the file systems on them',
    names: [
      ...['sd_mod', 'sr_mod', 'ahci', 'ata_piix', 'ata_generic', 'nvme', 'vmd', 'usb_storage', 'uas'],
      ...['mmc_block', 'sdhci_pci', 'sdhci_acpi', 'rtsx_pci_sdmmc', 'rtsx_usb_sdmmc'],
      ...['virtio_pci', 'virtio_blk', 'virtio_scsi', 'vmw_pvscsi', 'hv_storvsc'],
      ...['mptspi', 'mptsas', 'mpt3sas', 'megaraid_sas', 'hpsa', 'smartpqi', 'aacraid', 'xen_blkfront'],
      ...['ext4', 'vfat', 'exfat', 'isofs', 'udf', 'xfs', 'btrfs', 'f2fs', 'erofs', 'ntfs3'],
    ],
  },
} as const satisfies Record<string, Group>

export type GroupName = keyof typeof groups

export function isGroup(name: string): name is GroupName {
  return Object.hasOwn(groups, name)
}

export function isAlways(name: GroupName): boolean {
  return always.some((each) => each === name)
}

/**
 * What the kernel loads through /sbin/modprobe once a module is at work (request_module in its source): code pages
 * of a file system, the PHY of a card, the checksums of a crypto template.
 */
export const requested: Readonly<Record<string, readonly string[]>> = {
  vfat: ['nls_cp437', 'nls_iso8859_1', 'nls_ascii', 'nls_utf8'],
  exfat: ['nls_iso8859_1', 'nls_utf8'],
  isofs: ['nls_iso8859_1', 'nls_utf8'],
  udf: ['nls_utf8'],
  ntfs3: ['nls_utf8'],
  tg3: ['broadcom'],
  libcrc32c: ['crypto-crc32c'],
  ext4: ['crypto-crc32c'],
  // Each of its checksums (mkfs.btrfs --csum).
  btrfs: ['crypto-crc32c', 'crypto-xxhash64', 'crypto-sha256', 'crypto-blake2b-256'],
  f2fs: ['crypto-crc32', 'crypto-crc32c'],
  erofs: ['crypto-crc32c'],
  crc_t10dif: ['crypto-crct10dif'],
  nfs: ['nfsv3', 'nfsv4'],
}
