/** How a block device is named on a kernel command line and in fstab(5), and what may follow its name. Pure. */

export type DeviceName =
  /** With /dev/. */
  | { readonly kind: 'path'; readonly path: string }
  | { readonly kind: 'label' | 'uuid' | 'partUuid' | 'partLabel'; readonly value: string }

const tags = new Map([
  ['LABEL', 'label'],
  ['UUID', 'uuid'],
  ['PARTUUID', 'partUuid'],
  ['PARTLABEL', 'partLabel'],
] as const)

/** `/dev/sda1`, `sda1`, `LABEL=x`, `UUID=x`, `PARTUUID=x`, `PARTLABEL=x`. Undefined: none of these. */
export function parseDeviceName(text: string): DeviceName | undefined {
  for (const [tag, kind] of tags) {
    const value = text.startsWith(`${tag}=`) ? text.slice(tag.length + 1).replace(/^"(.*)"$/, '$1') : ''
    if (value !== '') return { kind, value }
  }
  const [, by, link] = /^\/dev\/disk\/by-(label|uuid|partuuid|partlabel)\/([^/\s]+)$/.exec(text) ?? []
  // udev makes these links; there is none here.
  if (by !== undefined && link !== undefined) return parseDeviceName(`${by.toUpperCase()}=${link}`)
  if (/^\/dev\/[^\s]+$/.test(text)) return { kind: 'path', path: text }
  if (/^[a-z][a-z0-9_-]*$/i.test(text)) return { kind: 'path', path: `/dev/${text}` }
  return undefined
}

/** As it is written on a command line. */
export function showDeviceName(name: DeviceName): string {
  return name.kind === 'path' ? name.path : `${name.kind.toUpperCase()}=${name.value}`
}

/** `DEVICE[:fstype][:path]`, as Alpine's apkovl=, ovl_dev= and alpine_dev= write it; the path is absolute in it. */
export interface PlaceOnDevice {
  readonly device: DeviceName
  readonly fsType: string | undefined
  readonly path: string | undefined
}

export function parsePlaceOnDevice(text: string): PlaceOnDevice | undefined {
  const [name = '', ...rest] = text.split(':')
  const device = parseDeviceName(name)
  if (device === undefined) return undefined
  const path = rest.at(-1)?.startsWith('/') ? rest.pop() : undefined
  const fsType = rest.shift() || undefined
  // Alpine takes `sda1:vfat:name.apkovl.tar.gz` too.
  const relative = rest.length === 0 ? undefined : `/${rest.join(':')}`
  return { device, fsType, path: path ?? relative }
}
