/** A kernel command line, and whatever is said while it is obeyed, as they may leave the machine: without its secrets. */
import { isParameter } from '../boot/parameters.ts'
import { redactUrl, schemeOf } from './url.ts'

/** Names of what is a secret itself; a parameter of ours that has such a name says where one is. */
const secretName = /pass|token|secret|credential|(pw|psk)$|(^|[._-])key$/i

/** A word of the line; quotes may hold blanks together. */
const words = /(?:[^\s"]|"[^"]*("|$))+/g

/** Each word as it may be shown. */
export function redactCommandLine(text: string): string {
  return text.replace(words, (word) => {
    const quote = word.startsWith('"') ? '"' : ''
    const equals = word.indexOf('=')
    if (equals === -1) return redactValue(word)
    const [name, value] = [word.slice(quote.length, equals), word.slice(equals + 1)]
    const hidden = isSecret(name, value)
    return hidden ? `${quote}${name}=***${quote}` : `${quote}${name}=${redactValue(value)}`
  })
}

/** The whole value, as it is no URL that says where a secret is. */
function isSecret(name: string, value: string): boolean {
  return secretName.test(name) && !isParameter(name) && schemeOf(value.replace(/^"/, '')) === undefined
}

/** URLs, also several with `|` between them; a proxy without a scheme; options like NAME=SECRET. */
function redactValue(value: string): string {
  return value
    .split('|')
    .map((each) =>
      redactUrl(each)
        .replace(/^("?[^:/@"]+):[^/@]+@/, '$1:***@')
        .replace(/((?:^|[,;?&])[^=,;?&]*(?:pass|secret|token)[^=,;?&]*)=[^,;?&"]*/gi, '$1=***'),
    )
    .join('|')
}

/** What `redactCommandLine` hides, for whoever might repeat it: passwords and query values, as written and unescaped. */
export function secretsOf(text: string): readonly string[] {
  const secrets = new Set<string>()
  const add = (secret: string | undefined) => {
    if (secret === undefined || secret.length < shortest) return
    secrets.add(secret)
    try {
      secrets.add(decodeURIComponent(secret))
    } catch {
      // No escape in it, then.
    }
  }
  for (const [word] of text.matchAll(words)) {
    const equals = word.indexOf('=')
    const [name, value] = [word.slice(0, equals).replace('"', ''), word.slice(equals + 1).replaceAll('"', '')]
    if (equals !== -1 && isSecret(name, value)) add(value)
    for (const url of value.split('|')) {
      add(/^(?:[a-z][a-z0-9+.-]*:\/\/)?[^/?#:@]*:([^/?#@]*)@/i.exec(url)?.[1])
      for (const [, key = '', secret] of url.matchAll(/(?:^|[,?&;])([^=,&;#?]+)=([^,&;#]*)/g)) {
        const shown = redactValue(`?${key}=${secret}`)
        if (shown === `?${key}=***`) add(secret)
      }
    }
  }
  // The longer one first: it may have the shorter in it.
  return [...secrets].sort((a, b) => b.length - a.length)
}

/** Shorter ones are in too many words. */
const shortest = 3

/** A JSON value with the secrets in its texts replaced. */
export function withoutSecrets(value: unknown, secrets: readonly string[]): unknown {
  if (secrets.length === 0) return value
  if (typeof value === 'string')
    return secrets.reduce((text, secret) => text.replaceAll(secret, '***'), value)
  if (Array.isArray(value)) return value.map((each) => withoutSecrets(each, secrets))
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value).map(([name, each]) => [name, withoutSecrets(each, secrets)]),
  )
}
