/** Errors as the host words them, and errors that a test orders. */

import { type ErrorCode, SysError } from '../../../src/sys/index.ts'

const WORDS: Readonly<Record<string, string>> = {
  EACCES: 'Permission denied',
  EADDRNOTAVAIL: 'Address not available',
  EBUSY: 'Resource busy',
  ECONNREFUSED: 'Connection refused',
  ECONNRESET: 'Connection reset by peer',
  EEXIST: 'File exists',
  EHOSTUNREACH: 'No route to host',
  EINVAL: 'Invalid argument',
  EIO: 'I/O error',
  EISDIR: 'Is a directory',
  ELOOP: 'Symbolic link loop',
  ENETDOWN: 'Network is down',
  ENETUNREACH: 'Network unreachable',
  ENODEV: 'No such device',
  ENOENT: 'No such file or directory',
  ENOEXEC: 'Exec format error',
  ENOSPC: 'No space left on device',
  ENOTDIR: 'Not a directory',
  ENOTEMPTY: 'Directory not empty',
  EPROTONOSUPPORT: 'Protocol not supported',
  EROFS: 'Read-only file system',
  EXDEV: 'Cross-device link',
}

/** What the host answers for an errno, or for one of our codes with words of its own. */
export function refusal(code: ErrorCode, operation: string, subject: string, message?: string): SysError {
  return new SysError({ code, operation, subject, message: message ?? WORDS[code] ?? code })
}

export interface Fault {
  readonly operation: string
  /** Only for this subject; any when absent. */
  readonly subject?: string
  readonly code: ErrorCode
  readonly message?: string
  readonly detail?: readonly string[]
  /** How often; for ever when absent. */
  readonly times?: number
}

/** The operations that fail by order. */
export class Faults {
  #orders: { fault: Fault; left: number }[] = []

  order(fault: Fault): void {
    this.#orders.push({ fault, left: fault.times ?? Number.POSITIVE_INFINITY })
  }

  /** Throws when a test ordered this operation to fail. */
  check(operation: string, subject: string): void {
    for (const order of this.#orders) {
      const { fault } = order
      if (order.left <= 0 || fault.operation !== operation) continue
      if (fault.subject !== undefined && fault.subject !== subject) continue
      order.left -= 1
      throw new SysError({
        code: fault.code,
        operation,
        subject,
        message: fault.message ?? WORDS[fault.code] ?? fault.code,
        detail: fault.detail ?? [],
      })
    }
  }
}
