/**
 * The table of kernel parameters: every word of the command line that init reads, or refuses by name.
 *
 * It drives the plan (plan.ts), docs/kernel-parameters.md (scripts/docs.ts), `explain`, and the did-you-mean.
 * Alpine's names keep Alpine's meaning (initramfs-init of mkinitfs); what is ours alone is `diskless.<name>`.
 */

export type Origin =
  | 'alpine'
  | 'alpine, dropped since'
  | 'kernel'
  | 'openrc'
  | 'dracut'
  | 'gentoo'
  | 'diskless'

export type Verdict =
  /** Read and obeyed. */
  | 'honoured'
  /** Known, and nothing of ours to do: the kernel or the new system reads it. */
  | { readonly passed: string }
  /** Stops the boot: going on would give a system that is not what was asked for. */
  | { readonly refused: string }

export interface Parameter {
  /** How it is written: `ip=dhcp|…`. */
  readonly form: string
  readonly meaning: string
  readonly origin: Origin
  readonly verdict: Verdict
  /** In words; `none` when its absence means nothing. */
  readonly default: string
  /** May be given several times; all values count. Else the last one does. */
  readonly repeated?: true
}

type Rest = Partial<Pick<Parameter, 'default' | 'verdict' | 'repeated'>>
const entry =
  (origin: Origin, verdict: Verdict = 'honoured') =>
  (form: string, meaning: string, rest: Rest = {}): Parameter => ({
    form,
    meaning,
    origin,
    verdict,
    default: 'none',
    ...rest,
  })

const alpine = entry('alpine')
const ours = entry('diskless')
const kernel = entry('kernel')
const refused = (reason: string) => entry('alpine', { refused: reason })
const dracut = entry('dracut')

export const parameters = {
  // The network
  ip: kernel(
    'ip=dhcp | ip=auto6 | ip=dhcp6 | ip=either6 | ip=CLIENT:SERVER:GW:MASK:HOST:DEVICE:AUTOCONF:DNS0:DNS1:NTP | ip=off',
    'How the network comes up: nfsroot.rst of the kernel, and dracut’s DEVICE:AUTOCONF[:MTU[:MAC]]. `dhcp`, `on` and `any` ask every card that has a carrier; a device names one; an address is set as it is; `off` and `none` leave the network alone. dracut’s words for IPv6: `auto6` does what routers advertise, DHCPv6 included; `dhcp6` asks for a lease whatever they say; `either6` does so where none speaks. IPv6 addresses are in brackets: ip=[fd00::2]::[fe80::1]:64::eth0:none. With `dhcp`, IPv6 is used alone where no DHCP server answers for 40 s. Several, each with its device, configure them all.',
    { default: 'dhcp where a source needs the network', repeated: true },
  ),
  BOOTIF: alpine(
    'BOOTIF=01-aa-bb-cc-dd-ee-ff',
    'The card that the firmware booted from, as pxelinux and iPXE write it, in either case, with - or :. Only this card is used.',
    { default: 'every card' },
  ),
  bootdev: dracut('bootdev=DEVICE', 'Of several links, the one that is booted from.', {
    default: 'that of the last ip=',
  }),
  vlan: dracut(
    'vlan=NAME:LINK',
    'A VLAN on a card or a bond, by any of dracut’s names: vlan5:eth0, vlan0005:eth0, eth0.5:eth0, eth0.0005:eth0. Without a device in ip= it is what is booted from.',
    { repeated: true },
  ),
  bond: dracut(
    'bond=NAME:LINK,LINK[:OPTION=VALUE,…[:MTU]]',
    'Several cards as one, with the options of the kernel’s bonding.rst: bond=bond0:eth0,eth1:mode=active-backup. Has the hardware address of the first. Without a device in ip= it is what is booted from.',
    { repeated: true },
  ),
  'rd.route': dracut(
    'rd.route=NET/MASK:GATEWAY[:DEVICE]',
    'A further route, of the link that is booted from unless it says another.',
    { repeated: true },
  ),
  nameserver: ours(
    'nameserver=ADDRESS',
    'A resolver besides those of the lease; also dracut’s name for it. An IPv6 address may be in brackets.',
    { repeated: true },
  ),

  http_proxy: alpine(
    'http_proxy=http://[USER:PASSWORD@]HOST[:PORT]',
    'The proxy for what is fetched by http. (The kernel hands it to Alpine’s init as its environment, where wget and apk read it.)',
  ),
  https_proxy: alpine(
    'https_proxy=http://[USER:PASSWORD@]HOST[:PORT]',
    'The proxy for what is fetched by https, through a tunnel (CONNECT).',
  ),
  no_proxy: alpine(
    'no_proxy=NAME[,NAME…]',
    'Whom to ask without a proxy: a domain with everything below it, an address, an IPv4 prefix (10.0.0.0/8), or `*`.',
    { repeated: true },
  ),

  // Where the system comes from
  apkovl: alpine(
    'apkovl=URL[|URL…] | PATH | DEVICE[:FSTYPE][:PATH]',
    'The overlay: a tar.gz of what differs from the packages; `|` between mirrors, which are tried in turn. Every {MAC} and {UUID} is replaced. A path is one of the initrd or of alpine_dev; a device may be named by LABEL= or UUID=.',
    { default: 'looked for on every medium; else Alpine’s default services' },
  ),
  ovl_dev: entry('alpine, dropped since')(
    'ovl_dev=DEVICE[:FSTYPE][:PATH] | URL[|URL…]',
    'The overlay, in Alpine 2.6’s words. Together with apkovl= it is an error.',
  ),
  alpine_dev: entry('alpine, dropped since')(
    'alpine_dev=nfs:SERVER:/PATH[,OPTIONS] | DEVICE[:FSTYPE]',
    'The medium with repositories, overlay and modloop. Mounted at /media/alpine_dev until fstab says otherwise.',
    { default: 'every block device is looked at' },
  ),
  alpine_repo: alpine(
    'alpine_repo=URL[|URL…][,URL…]',
    'Repositories to install from, with or without the architecture at the end; `|` between mirrors of the same one, which are tried in turn. Over the overlay’s own etc/apk/repositories.',
    { default: 'the overlay’s etc/apk/repositories' },
  ),
  pkgs: alpine('pkgs=NAME[,NAME…]', 'Packages to install besides the overlay’s etc/apk/world.', {
    repeated: true,
  }),
  keep_apk_new: refused('the overlay’s files always stay, and the packages’ own are not kept beside them')(
    'keep_apk_new',
    'Where the overlay and a package both have a protected file, keep the package’s as NAME.apk-new.',
  ),
  rootflags: alpine('rootflags=OPTION[,…]', 'Mount options of the root’s tmpfs, such as size=2G.', {
    default: 'size: the memory that is free, less a reserve',
  }),
  root_size: alpine('root_size=SIZE', 'The old way of saying rootflags=size=SIZE.'),
  bootstrap_usr_merged: alpine(
    'bootstrap_usr_merged',
    'Make /bin, /sbin and /lib symlinks into /usr before installing.',
    { default: 'no' },
  ),
  ssh_key: alpine(
    'ssh_key=KEY|URL',
    'Without an overlay: install openssh, start sshd, and let this key in as root.',
  ),

  // Drivers
  modules: alpine(
    'modules=NAME[,NAME…]',
    'Kernel modules to load at once, besides those that the hardware asks for.',
    { repeated: true },
  ),
  blacklist: alpine('blacklist=NAME[,NAME…]', 'Kernel modules never to load for hardware.', {
    repeated: true,
  }),

  // What a person sees
  console: kernel(
    'console=DEVICE[,OPTIONS]',
    'Where init talks, and gives a shell; in the new system each gets a login.',
    { repeated: true, default: 'the kernel’s own choice' },
  ),
  quiet: kernel('quiet', 'Only failures and warnings are printed.', { default: 'no' }),
  single: alpine('single | s | 1', 'A shell before the root is built; leaving it goes on.', {
    default: 'no',
  }),
  debug_init: alpine('debug_init', 'Every operation with its outcome, and stack traces in errors.', {
    default: 'no',
  }),
  panic: kernel('panic=N', 'When the boot fails: no shell, reboot after N seconds.', { default: 'a shell' }),
  autodetect_serial: alpine(
    'autodetect_serial=no',
    'Serial lines that something is connected to get a login too, unless `no`.',
    { default: 'yes, without an overlay' },
  ),

  // The hand-over
  init: kernel(
    'init=PATH',
    'What to start in the new root. /linuxrc together with root=/dev/ram0 is Gentoo’s name of its own initramfs program and means /sbin/init.',
    { default: '/sbin/init' },
  ),
  init_args: alpine(
    'init_args=ARGUMENTS',
    'Arguments for it, separated by spaces (quote the whole), besides those after `--`.',
  ),
  modloop: entry('openrc')(
    'modloop=URL[|URL…] | PATH | none',
    'The squashfs with the kernel’s modules: a URL, or the first of its mirrors that has it, is fetched beside the packages, so that the new system’s service does not fetch it again; a path is one on any medium. What the builder took in, it must be.',
  ),
  modloop_verify: entry('openrc', { passed: 'the new system’s modloop service reads it' })(
    'modloop_verify=no',
    'Whether that service checks the signature.',
  ),
  usbdelay: alpine('usbdelay=SECONDS', 'Not needed: what is late is waited for by its event.', {
    verdict: { passed: 'init waits for the device’s event instead' },
  }),
  uevent_buf_size: alpine(
    'uevent_buf_size=BYTES',
    'Not needed: the buffer is large enough, and an overflow is noticed.',
    { verdict: { passed: 'the host’s buffer is large, and it rescans when it overflows' } },
  ),
  splash: alpine('splash', 'A picture while booting.', {
    verdict: { passed: 'there is no bootsplash here; the phases are printed' },
  }),
  chart: alpine('chart', 'Alpine’s bootchart.', {
    verdict: { passed: 'the timeline in /run/diskless/ is always written' },
  }),

  // Ours
  'diskless.onfail': ours(
    'diskless.onfail=shell|retry|reboot',
    'What a failed boot does: a shell on each console, another try after a pause, or a reboot.',
    { default: 'shell; reboot with panic=' },
  ),
  'diskless.idle': ours(
    'diskless.idle=SECONDS',
    'A shell in which nobody types for so long tries the boot again; 0: never.',
    { default: '120' },
  ),
  'diskless.apkovl': ours(
    'diskless.apkovl=optional',
    'An overlay that cannot be had does not stop the boot.',
    { default: 'required' },
  ),
  'diskless.apkovl_sha256': ours('diskless.apkovl_sha256=HEX', 'The digest that the overlay must have.'),
  'diskless.world': ours(
    'diskless.world=strict',
    'A package of the world that cannot be had stops the boot.',
    { default: 'goes on without it, loudly, as Alpine does' },
  ),
  'diskless.lock': ours(
    'diskless.lock=URL[|URL…] | PATH',
    'The lock file that `diskless lock` made and signed: exactly its packages are installed, without an index and without choosing. {MAC} and {UUID} are replaced; a path is one of the initrd or of a medium. A world of the overlay (or pkgs=) that is not the lock’s stops the boot. alpine_repo= is then only for etc/apk/repositories.',
    { default: 'packages are chosen from the repositories’ indexes' },
  ),
  'diskless.debug': ours('diskless.debug', 'The same as debug_init.', { default: 'no' }),
  'diskless.dhcp_timeout': ours('diskless.dhcp_timeout=SECONDS', 'How long to go on asking for a lease.', {
    default: '120',
  }),
  'diskless.lease': ours(
    'diskless.lease=keep|handoff|release',
    'Who renews the leases, by DHCP or DHCPv6, when the new system runs. `keep`: a small process of init’s (0.6 MB, with its file), each until a DHCP client of the new system starts on that card, so that it is right with and without one. `handoff`: nobody; /etc/network/interfaces, where the overlay has none, makes Alpine’s udhcpc ask for the same address. `release`: the leases are given back and the cards set down, where nothing of the new system comes by the network.',
    { default: 'keep' },
  ),
  'diskless.carrier_timeout': ours(
    'diskless.carrier_timeout=SECONDS',
    'How long to wait for any card to have a carrier.',
    { default: '60' },
  ),
  'diskless.crash': ours(
    'diskless.crash=exception|rejection|panic|stack|memory|kill',
    'For tests: fail in one of the ways in which an engine can.',
  ),

  // Roots that are not installed into RAM
  root: kernel(
    'root=DEVICE | UUID=… | LABEL=… | PARTUUID=… | PARTLABEL=… | nfs:[SERVER:]/PATH[,OPTIONS] | /dev/nfs | dhcp | live:IMAGE',
    'A root on a disk, on an NFS server (`dhcp`: the lease’s root path), or in an image: `live:URL[|URL…]`, `live:nfs:SERVER:/PATH`, `live:DEVICE[:/PATH]`. /dev/ram0 means RAM.',
    { default: 'RAM' },
  ),
  nfsroot: kernel(
    'nfsroot=[SERVER:]/PATH[,OPTIONS]',
    'The share of root=/dev/nfs, as nfsroot.rst of the kernel has it. Without a server: the lease’s next-server.',
    { default: 'the lease’s root path' },
  ),
  rootfstype: kernel(
    'rootfstype=TYPE',
    'The file system of root=DEVICE. ramfs and tmpfs are about the initramfs itself: ramfs lifts the kernel’s limit of half the memory.',
    { default: 'what the device says' },
  ),
  rootdelay: kernel('rootdelay=SECONDS', 'How long to wait for root=DEVICE at least; never a fixed pause.', {
    default: '30',
  }),
  rootwait: kernel('rootwait', 'Wait for root=DEVICE for ever.', { default: 'no' }),
  ro: kernel('ro', 'Mount root=DEVICE read-only.', { default: 'yes' }),
  rw: kernel('rw', 'Mount root=DEVICE writable.', { default: 'no' }),
  overlaytmpfs: alpine(
    'overlaytmpfs',
    'A tmpfs over root=DEVICE: what is written is gone at the next boot.',
    {
      default: 'no',
    },
  ),
  loop: entry('gentoo')(
    'loop=PATH',
    'The image that is the root: a path in the initrd, on a medium, or on the share of nfsroot= or alpine_dev=.',
  ),
  looptype: entry('gentoo')('looptype=squashfs|erofs', 'Its format.', { default: 'what the image says' }),
  cdroot: entry('gentoo')('cdroot[=DEVICE]', 'The medium of loop=.', {
    default: 'that of alpine_dev=, or the initrd, then every medium',
  }),
  real_init: entry('gentoo')('real_init=PATH', 'The image’s init, where init=/linuxrc is Gentoo’s.', {
    default: '/sbin/init',
  }),
  dokeymap: entry('gentoo')('dokeymap', 'Asks for a keymap on the console.', { default: 'no' }),
  keymap: entry('gentoo')('keymap=NAME', 'Loads a keymap that the initrd was built with.'),
  'diskless.nfsroot': ours(
    'diskless.nfsroot=overlay|links',
    'What makes an NFS root writable: overlayfs, or symlinks in a tmpfs with /var and /dev copied.',
    { default: 'overlay' },
  ),
  'diskless.image': ours(
    'diskless.image=auto|ram|place',
    'Whether an image is copied into memory or read where it is.',
    { default: 'auto: as memory allows' },
  ),
  'diskless.image_sha256': ours('diskless.image_sha256=HEX', 'The digest that the image must have.'),
  'diskless.modules': ours(
    'diskless.modules=keep',
    'The new system gets the initrd’s kernel modules, and its modloop service is taken out of its runlevel.',
    { default: 'a modloop' },
  ),
  'diskless.cache': ours(
    'diskless.cache=DEVICE[:FSTYPE]',
    'A local disk that keeps the overlay, the packages and the modloop that came by the network: the next boot takes what has not changed from it, and with the servers down the last good state.',
    { default: 'none' },
  ),
  'diskless.cache_size': ours('diskless.cache_size=SIZE', 'The most that the cache may hold.', {
    default: 'half of its file system',
  }),
  'diskless.report': ours(
    'diskless.report=URL',
    'Whom to tell of this boot, by http or https: its phases, what it waits for, a failure with its causes, the timeline at the end, as JSON lines that are posted there. `diskless watch` listens. Nothing waits for it.',
    { default: 'nobody' },
  ),
  'diskless.apkovl_password': ours(
    'diskless.apkovl_password=URL[|URL…]',
    'Where the password of an encrypted overlay is fetched.',
    { default: 'asked for on the console' },
  ),
  'diskless.apkovl_backup': ours(
    'diskless.apkovl_backup=NAME | YYYY[MM[DD[HH[MM[SS]]]]]',
    'An earlier overlay, which lbu kept beside the present one: by its name, or the newest whose date begins so. On a server: the name or all fourteen digits.',
    { default: 'the present one' },
  ),

  // Refused by name
  overlaytmpfsflags: refused('the tmpfs over a disk root takes what memory there is')(
    'overlaytmpfsflags=OPTIONS',
    'Its options.',
  ),
  usrflags: refused('a /usr of its own is mounted by the new system')(
    'usrflags=OPTIONS',
    'Mount options of /usr.',
  ),
  resume: refused('a machine without a disk has nothing to resume from')(
    'resume=DEVICE',
    'Resume from hibernation.',
  ),
  resume_offset: refused('a machine without a disk has nothing to resume from')(
    'resume_offset=N',
    'Where on it.',
  ),
  cryptroot: refused('an encrypted disk root needs cryptsetup, which is not in this initrd')(
    'cryptroot=DEVICE',
    'An encrypted root.',
  ),
  cryptdm: refused('see cryptroot')('cryptdm=NAME', 'Its name.'),
  cryptkey: refused('see cryptroot')('cryptkey', 'Its key file.'),
  cryptheader: refused('see cryptroot')('cryptheader=FILE', 'Its header.'),
  cryptoffset: refused('see cryptroot')('cryptoffset=N', 'Its offset.'),
  cryptdiscards: refused('see cryptroot')('cryptdiscards', 'Discards on it.'),
  nbd: refused('network block devices are not supported; use apkovl= and alpine_repo= by HTTP')(
    'nbd=SERVER:PORT',
    'A network block device.',
  ),
  aoe: refused('ATA over Ethernet is not supported')('aoe[=TARGETS]', 'ATA over Ethernet.'),
  aoe_iflist: refused('see aoe')('aoe_iflist=IFACES', 'Its interfaces.'),
  aoe_mtu: refused('see aoe')('aoe_mtu=N', 'Their MTU.'),
  wireguard: refused('a tunnel before the boot is not supported')('wireguard=IF;IPS[;CONF]', 'A tunnel.'),
  zfcp: refused('s390x is not supported')('zfcp=…', 'FCP devices of s390x.'),
  dasd: refused('s390x is not supported')('dasd=…', 'DASD devices of s390x.'),
  s390x_net: refused('s390x is not supported')('s390x_net=…', 'The network card of s390x.'),
  zfs_force: refused('ZFS is not supported')('zfs_force=1', 'Import a foreign pool.'),
  memdisk: refused('a memdisk is not looked for; serve the files by HTTP')('memdisk', 'Syslinux’s memdisk.'),
  ds: refused('cloud data sources are not supported; put the configuration into an overlay')(
    'ds=…',
    'tiny-cloud’s data source.',
  ),
  tinycloud: refused('cloud data sources are not supported; put the configuration into an overlay')(
    'tinycloud',
    'tiny-cloud.',
  ),
} as const satisfies Readonly<Record<string, Parameter>>

export type ParameterName = keyof typeof parameters

export function isParameter(name: string): name is ParameterName {
  return Object.hasOwn(parameters, name)
}

/** The table's rows with their names, in its order. */
export function parameterRows(): readonly (readonly [ParameterName, Parameter])[] {
  const rows: (readonly [ParameterName, Parameter])[] = []
  for (const name of Object.keys(parameters)) if (isParameter(name)) rows.push([name, parameters[name]])
  return rows
}
