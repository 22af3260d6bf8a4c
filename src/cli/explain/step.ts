/** A step of a boot as it is going to be: what is done, why so, and who is asked for what. */

import { type ParameterName, parameters } from '../../boot/parameters.ts'
import type { Settings } from '../../boot/settings.ts'
import { redactUrl } from '../../network/url.ts'

export interface Step {
  /** As the timeline and the screen of a boot call it. */
  readonly phase: string
  /** A sentence each. */
  readonly says: readonly string[]
  readonly because: readonly Reason[]
  /** Phases that it waits for; those that wait for none of each other run side by side. */
  readonly after: readonly string[]
  readonly asks: readonly Ask[]
}

/** The parameter that decides: as it was given, or what its absence means. */
export type Reason =
  | { readonly parameter: ParameterName; readonly given: readonly string[] }
  | { readonly parameter: ParameterName; readonly taken: string }

export interface Ask {
  readonly whom: string
  readonly what: string
}

/** Parameters that decide something, in the words of the command line and of the table of parameters. */
export function reasonsFor(settings: Settings, names: readonly ParameterName[]): readonly Reason[] {
  return names.flatMap((parameter): Reason[] => {
    const given = settings.all(parameter).map(showValue)
    if (given.length > 0) return [{ parameter, given }]
    const { default: taken } = parameters[parameter]
    return taken === 'none' ? [] : [{ parameter, taken }]
  })
}

/** Passwords in URLs are nobody’s business. */
export function showValue(value: string): string {
  return value
    .split(/(?<=[|,])/)
    .map((part) => redactUrl(part))
    .join('')
}

export function showReason(reason: Reason): string {
  const { parameter } = reason
  if ('taken' in reason) return `${parameter}= not given: ${reason.taken}`
  return reason.given.map((value) => (value === 'yes' ? parameter : `${parameter}=${value}`)).join(' ')
}

/** `a, b and c`. */
export function listed(words: readonly string[]): string {
  const last = words.at(-1) ?? ''
  return words.length < 2 ? last : `${words.slice(0, -1).join(', ')} and ${last}`
}

export function showSeconds(milliseconds: number): string {
  const seconds = milliseconds / 1000
  return seconds >= 120 && seconds % 60 === 0 ? `${seconds / 60} minutes` : `${seconds} s`
}
