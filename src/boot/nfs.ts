/** Shares of NFS servers as command lines and DHCP write them. Pure. */

export interface NfsShare {
  /** Undefined: the one that the lease names (next-server), as nfsroot.rst of the kernel has it. */
  readonly server: string | undefined
  /** Absolute. */
  readonly path: string
  /** Mount options as nfs(5) has them. */
  readonly options: readonly string[]
}

/**
 * `[SERVER:]/PATH[,OPTION…]`; SERVER may be an IPv6 address in brackets, and options may stand before the path after a colon,
 * as dracut writes them (`SERVER:/PATH:OPTIONS`). Undefined: it is none of this.
 */
export function parseNfsShare(text: string): NfsShare | undefined {
  const [, server, path, options = ''] =
    /^(?:(\[[0-9a-fA-F:.]+\]|[^/:,\s]+):)?(\/[^,:]*)(?:[,:](.*))?$/.exec(text.trim()) ?? []
  if (path === undefined) return undefined
  return {
    server: server?.replace(/^\[|\]$/g, ''),
    path,
    options: options.split(',').filter((option) => option !== '' && option !== 'defaults'),
  }
}

export function showNfsShare({ server, path }: NfsShare): string {
  return server === undefined ? path : `${server.includes(':') ? `[${server}]` : server}:${path}`
}
