/** Dates as they are told to a person: UTC. From milliseconds since 1970. Pure. */

/** `2026-11-20`. */
export function dayOf(time: number): string {
  return new Date(time).toISOString().slice(0, 10)
}

/** `2026-11-20 12:00 UTC`. */
export function minuteOf(time: number): string {
  return `${new Date(time).toISOString().slice(0, 16).replace('T', ' ')} UTC`
}
