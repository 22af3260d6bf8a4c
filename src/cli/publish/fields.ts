/** Reads what a person wrote, once: every problem is kept, with the path of its key and what was probably meant. */

import { closest } from '../../boot/closest.ts'

/** One object of a configuration. The keys that are asked for are those that it may have. */
export class Fields {
  readonly #values: Readonly<Record<string, unknown>>
  readonly #path: string
  readonly #problems: string[]
  readonly #asked = new Set<string>()

  /** `path`: of this object, '' for the whole. `problems` gets a line each. */
  constructor(value: unknown, path: string, problems: string[]) {
    this.#path = path
    this.#problems = problems
    this.#values = isRecord(value) ? value : {}
    if (!isRecord(value)) this.#complain(path, `is ${describe(value)}, and not an object`)
  }

  has(key: string): boolean {
    this.#asked.add(key)
    return this.#values[key] !== undefined
  }

  isObject(key: string): boolean {
    return isRecord(this.#value(key))
  }

  text(key: string): string | undefined {
    const value = this.#value(key)
    if (value === undefined || (typeof value === 'string' && value !== '')) return value
    this.wrong(key, `is ${describe(value)}, and not a text`)
    return undefined
  }

  /** Its absence is a problem: `why` it is needed. */
  needed(key: string, why: string): string {
    if (!this.has(key)) this.wrong(key, `is missing: ${why}`)
    return this.text(key) ?? ''
  }

  integer(key: string, least: number, most: number): number | undefined {
    const value = this.#value(key)
    if (value === undefined) return undefined
    if (typeof value === 'number' && Number.isInteger(value) && value >= least && value <= most) return value
    this.wrong(key, `is ${describe(value)}, and not a whole number from ${least} to ${most}`)
    return undefined
  }

  texts(key: string): readonly string[] | undefined {
    const value = this.#value(key)
    if (value === undefined) return undefined
    if (!Array.isArray(value)) {
      this.wrong(key, `is ${describe(value)}, and not a list of texts`)
      return undefined
    }
    const items: readonly unknown[] = value
    for (const [at, item] of items.entries())
      if (typeof item !== 'string' || item === '')
        this.wrong(`${key}[${at}]`, `is ${describe(item)}, and not a text`)
    return items.filter((item) => typeof item === 'string')
  }

  choice<T extends string>(key: string, choices: readonly T[]): T | undefined {
    const text = this.text(key)
    return text === undefined ? undefined : this.#choose(key, text, choices)
  }

  choices<T extends string>(key: string, choices: readonly T[]): readonly T[] | undefined {
    return this.texts(key)?.flatMap((text, at) => this.#choose(`${key}[${at}]`, text, choices) ?? [])
  }

  object(key: string): Fields | undefined {
    const value = this.#value(key)
    return value === undefined ? undefined : new Fields(value, this.#below(key), this.#problems)
  }

  objects(key: string): readonly Fields[] {
    const value = this.#value(key)
    if (value === undefined) return []
    if (!Array.isArray(value)) this.wrong(key, `is ${describe(value)}, and not a list`)
    const items: readonly unknown[] = Array.isArray(value) ? value : []
    return items.map((item, at) => new Fields(item, this.#below(`${key}[${at}]`), this.#problems))
  }

  /** Every entry of an object whose keys are the person's own. */
  entries(key: string): readonly (readonly [string, Fields])[] {
    const value = this.#value(key)
    if (value === undefined) return []
    if (!isRecord(value)) this.wrong(key, `is ${describe(value)}, and not an object`)
    return Object.entries(isRecord(value) ? value : {}).map(([name, entry]) => [
      name,
      new Fields(entry, `${this.#below(key)}['${name}']`, this.#problems),
    ])
  }

  wrong(key: string, what: string): void {
    this.#complain(this.#below(key), what)
  }

  /** What was never asked for is unknown. */
  finish(): void {
    for (const key of Object.keys(this.#values)) {
      if (this.#asked.has(key)) continue
      const near = closest(key, this.#asked)
      this.wrong(key, `is unknown${near === undefined ? '' : `: did you mean ${near}?`}`)
    }
  }

  #value(key: string): unknown {
    this.#asked.add(key)
    return this.#values[key]
  }

  #choose<T extends string>(key: string, text: string, choices: readonly T[]): T | undefined {
    const found = choices.find((choice) => choice === text)
    if (found !== undefined) return found
    const near = closest(text, choices)
    const meant = near === undefined ? '' : `: did you mean '${near}'?`
    this.wrong(key, `is '${text}', and not one of ${choices.join(', ')}${meant}`)
    return undefined
  }

  #below(key: string): string {
    return this.#path === '' ? key : `${this.#path}.${key}`
  }

  #complain(path: string, what: string): void {
    this.#problems.push(path === '' ? `it ${what}` : `${path} ${what}`)
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function describe(value: unknown): string {
  if (value === undefined || value === null) return `${value}`
  if (Array.isArray(value)) return 'a list'
  if (value === '') return 'empty'
  if (typeof value === 'function') return 'a function'
  return typeof value === 'object' ? 'an object' : JSON.stringify(value)
}

/** A path of the configuration as an absolute one. */
export type At = (path: string) => string
