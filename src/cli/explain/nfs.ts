/**
 * What an NFS server says: whether it is there (the procedure that does nothing), and whether a path is, by NFS 4.0, which
 * needs neither a mount nor a session (RFC 5531, RFC 7530).
 */

import { connect } from 'node:net'
import { NoAnswer } from './no-answer.ts'

/** A server, and the port of NFS there. */
export interface NfsServer {
  readonly host: string
  readonly port?: number
}

export type NfsPath =
  | { readonly kind: 'directory' }
  | { readonly kind: 'file'; readonly bytes: number }
  | { readonly kind: 'other' }
  /** As this machine sees it. */
  | { readonly kind: 'missing'; readonly at: string }
  /** In words: the server does not tell this machine. */
  | { readonly kind: 'untold'; readonly why: string }

const program = 100_003
const deadlineMs = 5000
const transaction = 0x6469_736b

/** The versions that the server answers to, of 4 and 3. Rejects with a `NoAnswer`. */
export async function askNfs(server: NfsServer): Promise<readonly number[]> {
  const spoken: number[] = []
  for (const version of [4, 3]) {
    const { accepted } = await call(server, version, 0, Buffer.alloc(0))
    if (accepted) spoken.push(version)
  }
  return spoken
}

const operations = { getattr: 9, lookup: 15, putrootfh: 24 } as const
/** nfsstat4. */
const statuses = { ok: 0, missing: 2, notDirectory: 20, minorVersion: 10_021 } as const
/** Bits of the attributes type and size, and types of files. */
const wanted = (1 << 1) | (1 << 4)
const types: ReadonlyMap<number, 'file' | 'directory'> = new Map([
  [1, 'file'],
  [2, 'directory'],
])

/** Absolute. Rejects with a `NoAnswer`. */
export async function askNfsPath(server: NfsServer, path: string): Promise<NfsPath> {
  const parts = path.split('/').filter((part) => part !== '')
  const lookups = parts.map((part) => Buffer.concat([words(operations.lookup), opaque(Buffer.from(part))]))
  // A compound: no tag, minor version 0, and as many operations.
  const request = Buffer.concat([
    words(0, 0, parts.length + 2, operations.putrootfh),
    ...lookups,
    words(operations.getattr, 1, wanted),
  ])
  const { accepted, result } = await call(server, 4, 1, request)
  if (!accepted || result.length < 12) return { kind: 'untold', why: 'the server does not speak NFS 4' }
  const status = result.readUInt32BE(0)
  const tag = Math.min(result.readUInt32BE(4), result.length)
  const done = result.length >= 12 + tag ? result.readUInt32BE(8 + Math.ceil(tag / 4) * 4) : 0
  switch (status) {
    case statuses.ok:
      return readAttributes(result)
    case statuses.missing:
    case statuses.notDirectory:
      // The first of what was done is the root, the last what failed.
      return { kind: 'missing', at: `/${parts.slice(0, Math.max(1, done - 1)).join('/')}` }
    case statuses.minorVersion:
      return {
        kind: 'untold',
        why: 'the server speaks NFS 4.1 and newer, by which the path is not asked here',
      }
    default:
      return { kind: 'untold', why: `the server does not let this machine look (NFS error ${status})` }
  }
}

/** They are the last of the answer: a bitmap of one word, their length, the type and the size. */
function readAttributes(result: Buffer): NfsPath {
  const at = result.length - 12
  if (at < 12 || result.readUInt32BE(at - 8) !== wanted) return { kind: 'other' }
  const kind = types.get(result.readUInt32BE(at))
  if (kind === 'file') return { kind, bytes: Number(result.readBigUInt64BE(at + 4)) }
  return kind === undefined ? { kind: 'other' } : { kind }
}

interface Reply {
  /** The procedure ran; else the server knows it, or the version, not. */
  readonly accepted: boolean
  readonly result: Buffer
}

function call(
  { host, port = 2049 }: NfsServer,
  version: number,
  procedure: number,
  request: Buffer,
): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port })
    let received = Buffer.alloc(0)
    const end = (settle: () => void) => {
      clearTimeout(timer)
      socket.destroy()
      settle()
    }
    const fail = (why: string) => end(() => reject(new NoAnswer(why)))
    const timer = setTimeout(
      () => fail(`nobody answers at ${host}, port ${port}, within ${deadlineMs / 1000} s`),
      deadlineMs,
    )
    socket.on('error', (error) => {
      const refused = 'code' in error && error.code === 'ECONNREFUSED'
      fail(refused ? `nothing listens on port ${port} of ${host}` : error.message)
    })
    socket.on('connect', () => socket.write(callMessage(version, procedure, request)))
    socket.on('data', (bytes) => {
      received = Buffer.concat([received, bytes])
      if (received.length < 4) return
      const length = received.readUInt32BE(0) - 0x8000_0000
      if (length < 12 || length > 65_536) return fail(`what is at port ${port} of ${host} is no NFS server`)
      if (received.length >= 4 + length) end(() => resolve(readReply(received.subarray(4, 4 + length))))
    })
    socket.on('end', () => fail(`${host} ended the connection without an answer`))
  })
}

/** RFC 5531, 9 and 11: a record of one fragment, by nobody in particular (AUTH_SYS, of root as the kernel would say). */
function callMessage(version: number, procedure: number, request: Buffer): Buffer {
  const credentials = Buffer.concat([words(0), opaque(Buffer.from('diskless')), words(0, 0, 0)])
  const message = Buffer.concat([
    words(transaction, 0, 2, program, version, procedure, 1),
    opaque(credentials),
    words(0, 0),
    request,
  ])
  return Buffer.concat([words(0x8000_0000 + message.length), message])
}

function readReply(message: Buffer): Reply {
  const refused: Reply = { accepted: false, result: Buffer.alloc(0) }
  if (message.length < 24) return refused
  const isOurs = message.readUInt32BE(0) === transaction && message.readUInt32BE(4) === 1
  const at = 20 + Math.ceil(Math.min(message.readUInt32BE(16), 400) / 4) * 4
  if (!isOurs || message.readUInt32BE(8) !== 0 || message.length < at + 4 || message.readUInt32BE(at) !== 0)
    return refused
  return { accepted: true, result: message.subarray(at + 4) }
}

function words(...values: readonly number[]): Buffer {
  const bytes = Buffer.alloc(values.length * 4)
  for (const [n, value] of values.entries()) bytes.writeUInt32BE(value, n * 4)
  return bytes
}

/** XDR, RFC 4506: a length, the bytes, zeros up to a multiple of four. */
function opaque(bytes: Buffer): Buffer {
  return Buffer.concat([words(bytes.length), bytes, Buffer.alloc((4 - (bytes.length % 4)) % 4)])
}
