/** What `diskless explain` says that Alpine's own init would do otherwise. */

import { describe, expect, it } from 'vitest'
import { parameterRows } from '../../../../src/boot/parameters.ts'
import { readings } from '../../../../src/cli/explain/alpine.ts'
import { explain } from './told.ts'

describe('what Alpine’s init does otherwise', () => {
  // The words that initramfs-init reads, of mkinitfs 3.13.
  const read =
    `BOOTIF alpine_repo aoe aoe_iflist aoe_mtu apkovl autodetect_serial blacklist bootstrap_usr_merged chart console
    cryptdiscards cryptdm cryptheader cryptkey cryptoffset cryptroot dasd debug_init ds init init_args ip keep_apk_new
    memdisk modules nbd overlaytmpfs overlaytmpfsflags panic pkgs quiet resume resume_offset root root_size rootflags
    rootfstype s390x_net single splash ssh_key tinycloud uevent_buf_size usbdelay usrflags wireguard zfcp`.split(
      /\s+/,
    )
  const rows = new Map<string, unknown>(Object.entries(readings))

  it('is told for each parameter that is not ours alone', () => {
    const others = parameterRows().flatMap(([name]) => (name.startsWith('diskless.') ? [] : [name]))
    expect([...rows.keys()].sort()).toEqual([...others].sort())
  })

  it('passes over none that Alpine’s init reads, and reads none that it passes over', () => {
    for (const name of read) expect([name, rows.get(name)]).not.toEqual([name, 'unread'])
    const elsewhere = [
      'http_proxy',
      'https_proxy',
      'no_proxy',
      'modloop',
      'modloop_verify',
      'alpine_dev',
      'ovl_dev',
      'rw',
      'keymap',
      'zfs_force',
    ]
    for (const [name, reading] of rows) {
      if (!read.includes(name) && !elsewhere.includes(name)) expect([name, reading]).toEqual([name, 'unread'])
    }
  })

  it('has words for what diskless refuses, as Alpine’s init does something with it', () => {
    for (const [name, { verdict }] of parameterRows()) {
      if (typeof verdict === 'object' && 'refused' in verdict)
        expect([name, typeof rows.get(name)]).toEqual([name, 'function'])
    }
  })

  it.each([
    ['ip=on', 'ip', /no network comes up/],
    ['ip=auto6', 'ip', /no network comes up/],
    ['BOOTIF=01-AA-bb-cc-dd-ee-ff ip=dhcp', 'BOOTIF', /capital letters/],
    ['apkovl=http://a/{MAC}-{MAC}', 'apkovl', /only the first \{MAC\}/],
    ['apkovl=tftp://a/x', 'apkovl', /no URL to it/],
    ['apkovl=http://a/x|http://b/x', 'apkovl', /one URL to wget/],
    ['root=nfs:1:/x', 'root', /waited for as a disk/],
    ['root=sda1 rootflags=noatime', 'rootflags', undefined],
    ['root=/dev/sda1 rootflags=noatime', 'rootflags', /in place of ro/],
    ['vlan=vlan5:eth0 ip=dhcp', 'vlan', /Passes over it/],
    ['diskless.idle=5', 'diskless.idle', /Passes over it/],
    ['quiet', 'quiet', undefined],
    ['root=/dev/sda1 rw', 'rw', /mounted read-only/],
    ['root=nfs:1:/x rw', 'rw', undefined],
    ['root=nfs:1:/x BOOTIF=01-AA-bb-cc-dd-ee-ff', 'BOOTIF', /as with any root=/],
    ['root=nfs:1:/x', 'the lease', undefined],
    ['ip=dhcp', 'ip', undefined],
    ['ip=dhcp', 'the lease', /Nobody renews it/],
    ['ip=1.2.3.4::1.2.3.1:24', 'the lease', undefined],
    ['apkovl=https://a/x', 'the clock', /a clock that may be wrong/],
    ['apkovl=http://a/x', 'the clock', undefined],
  ] as const)('with %s, about %s', (text, about, says) => {
    const found = explain(text).alpine.find((difference) => difference.about === about)
    if (says === undefined) expect(found).toBeUndefined()
    else expect(found?.alpine).toMatch(says)
  })
})
