/**
 * The last good boot, as state.json of the cache has it: which bytes each URL gave. The URLs are without their
 * passwords.
 */
import { minuteOf } from '../boot/date.ts'
import type { Mac, Validator } from '../sys/index.ts'

export interface CachedEntry {
  /** Hex: the object's name. */
  readonly sha256: string
  readonly bytes: number
  readonly validator: Validator | undefined
}

export interface CacheState {
  /** When it was written: milliseconds since 1970. */
  readonly at: number
  /** Of the card that was used: an overlay may be named by it. */
  readonly mac: Mac | undefined
  readonly entries: ReadonlyMap<string, CachedEntry>
}

const version = 1

export function formatState({ at, mac, entries }: CacheState): string {
  return `${JSON.stringify({ version, at, mac, entries: Object.fromEntries(entries) })}\n`
}

/** ` (2026-11-20 12:00 UTC)`; nothing where there is no state. */
export function dateOf(state: CacheState | undefined): string {
  return state === undefined ? '' : ` (${minuteOf(state.at)})`
}

/** Undefined: written by another version, or damaged. What is in it is not believed further than its form. */
export function parseState(text: string): CacheState | undefined {
  const state = parseJson(text)
  if (!isRecord(state) || state.version !== version || !isTime(state.at)) return undefined
  if (!isRecord(state.entries)) return undefined
  const entries = new Map<string, CachedEntry>()
  for (const [url, value] of Object.entries(state.entries)) {
    const entry = parseEntry(value)
    if (entry === undefined) return undefined
    entries.set(url, entry)
  }
  return { at: state.at, mac: parseMac(state.mac), entries }
}

function parseEntry(value: unknown): CachedEntry | undefined {
  if (!isRecord(value)) return undefined
  const { sha256, bytes, validator } = value
  if (typeof sha256 !== 'string' || !/^[0-9a-f]{64}$/.test(sha256)) return undefined
  if (typeof bytes !== 'number' || !Number.isSafeInteger(bytes) || bytes < 0) return undefined
  return { sha256, bytes, validator: parseValidator(validator) }
}

function parseValidator(value: unknown): Validator | undefined {
  if (!isRecord(value)) return undefined
  const { etag, lastModified } = value
  return {
    ...(typeof etag === 'string' ? { etag } : {}),
    ...(typeof lastModified === 'string' ? { lastModified } : {}),
  }
}

function parseMac(value: unknown): Mac | undefined {
  return typeof value === 'string' && /^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/.test(value) ? value : undefined
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    // A power cut, or rotten blocks: as good as none.
    return undefined
  }
}

/** What a Date can be. */
function isTime(value: unknown): value is number {
  return typeof value === 'number' && Math.abs(value) <= 8.64e15
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
