/** What DHCP on a link is told of the machine. */

import type { Mac } from '../sys/index.ts'

export interface DhcpConfig {
  readonly link: string
  readonly mac: Mac
  /** Option 97: the SMBIOS UUID. */
  readonly uuid?: string
  readonly hostname?: string
  readonly userClass?: string
  /** Milliseconds until it gives up, if at least `minimumTries` discovers went out. Default 120 000. */
  readonly totalMs?: number
}
