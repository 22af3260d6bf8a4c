/** NFS-Ganesha: its configuration (ganesha-core-config(8), ganesha-export-config(8)), and how it is started. */

export interface Export {
  /** The directory on this host. */
  readonly path: string
  /** The path that clients mount, whatever they speak: `/media`. */
  readonly pseudo: string
  readonly access?: 'ro' | 'rw'
  readonly squash?: 'none' | 'root' | 'all'
  /** The protocols that it can be reached by; both unless told. */
  readonly protocols?: readonly (3 | 4)[]
  /** An address: nobody else may mount it. */
  readonly clients?: string
}

/** What the whole server speaks. */
export interface NfsOptions {
  readonly protocols?: readonly (3 | 4)[]
  readonly minorVersions?: readonly (0 | 1 | 2)[]
}

export interface GaneshaOptions extends NfsOptions {
  readonly address: string
  readonly exports: readonly Export[]
}

const squashes = { none: 'No_Root_Squash', root: 'Root_Squash', all: 'All_Squash' } as const

export function ganeshaConfiguration(options: GaneshaOptions): string {
  const { address, exports, minorVersions = [0, 1, 2], protocols = [3, 4] } = options
  const blocks = exports.map((one, at) => exportBlock(one, at + 1, protocols))
  return `NFS_CORE_PARAM {
  Protocols = ${protocols.join(',')};
  Bind_addr = ${address};
  NFS_Port = 2049;
  MNT_Port = 20048;
  Enable_NLM = false;
  Enable_RQUOTA = false;
  # Else NFS 3 would mount by the path on this host.
  mount_path_pseudo = true;
}
NFSV4 {
  Graceless = true;
  Grace_Period = 5;
  Lease_Lifetime = 10;
  # Else owners travel as names, and become nobody.
  Only_Numeric_Owners = true;
  Minor_Versions = ${minorVersions.join(',')};
}
${blocks.join('')}LOG { Default_Log_Level = EVENT; }
`
}

function exportBlock(one: Export, id: number, all: readonly (3 | 4)[]): string {
  const access = (one.access ?? 'rw').toUpperCase()
  return `EXPORT {
  Export_Id = ${id};
  Path = "${one.path}";
  Pseudo = "${one.pseudo}";
  Access_Type = ${one.clients === undefined ? access : 'NONE'};
  ${one.clients === undefined ? '' : `CLIENT { Clients = ${one.clients}; Access_Type = ${access}; }`}
  Squash = ${squashes[one.squash ?? 'none']};
  Protocols = ${(one.protocols ?? all).join(',')};
  Transports = TCP,UDP;
  SecType = sys;
  FSAL { Name = VFS; }
}
`
}

/** rpcbind and Ganesha see a /run and a state directory of their own; rpcbind goes to the background when it answers. */
export function ganeshaScript(configuration: string): string {
  return [
    'set -e',
    'mount -t tmpfs tmpfs /run',
    'mkdir -p /run/rpcbind /run/ganesha /run/sendsigs.omit.d /var/lib/nfs',
    'mount -t tmpfs tmpfs /var/lib/nfs',
    'mkdir -p /var/lib/nfs/ganesha/v4recov /var/lib/nfs/ganesha/v4old',
    'rpcbind',
    `exec ganesha.nfsd -F -f ${configuration} -L STDERR -p /run/ganesha/ganesha.pid`,
  ].join('\n')
}
