/**
 * URLs as kernel parameters and repositories write them: which source reads one, which host it names, how it may
 * be printed. The engine has no URL class, and needs none for this.
 */

import type { Deadlines, Source } from '../sys/index.ts'
import { BootError } from '../sys/index.ts'

/** RFC 3986: scheme, authority, path, query, fragment. */
const GENERIC = /^(?:([a-z][a-z0-9+.-]*):)?(?:\/\/([^/?#]*))?([^?#]*)(?:\?([^#]*))?(?:#(.*))?$/is

/** Query parameters whose value is a secret by its name (presigned and token URLs). */
const SECRET_NAME = /pass|token|secret|sig|auth|credential|key/i

/** The scheme, lower case; undefined for a bare path. */
export function schemeOf(url: string): string | undefined {
  return GENERIC.exec(url)?.[1]?.toLowerCase()
}

/** The host without port, user and brackets; undefined where the URL names none. */
export function hostOf(url: string): string | undefined {
  const authority = GENERIC.exec(url)?.[2]
  if (authority === undefined) return undefined
  const hostAndPort = authority.slice(authority.lastIndexOf('@') + 1)
  const host = hostAndPort.startsWith('[')
    ? hostAndPort.slice(1, hostAndPort.indexOf(']'))
    : hostAndPort.replace(/:\d*$/, '')
  return host === '' ? undefined : host
}

/** The URL as it may be shown: a password, and a query value that is one by its name, become `***`. */
export function redactUrl(url: string): string {
  return url
    .replace(
      /^([a-z][a-z0-9+.-]*:\/\/)([^/?#]*)@/i,
      (_, scheme: string, user: string) => `${scheme}${user.replace(/:.*$/s, ':***')}@`,
    )
    .replace(/([?&;])([^=&;#]+)=[^&;#]*/g, (all: string, separator: string, name: string) =>
      SECRET_NAME.test(name) ? `${separator}${name}=***` : all,
    )
}

/** Mirrors as they may be shown. */
export function redactUrls(urls: readonly string[]): string {
  return urls.map(redactUrl).join(' or ')
}

/** A URL without user and password. */
export function withoutUser(url: string): string {
  return url.replace(/^([a-z][a-z0-9+.-]*:\/\/)[^/?#]*@/i, '$1')
}

/**
 * RFC 3986, 5.2, as far as references are paths: what `reference` means in a file that came from `base`, which is a URL
 * or an absolute path. A URL is itself.
 */
export function resolveUrl(base: string, reference: string): string {
  if (schemeOf(reference) !== undefined) return reference
  const [, origin = '', path = ''] = /^([a-z][a-z0-9+.-]*:\/\/[^/?#]*)?([^?#]*)/i.exec(base) ?? []
  const whole = reference.startsWith('/')
    ? reference
    : `${path.slice(0, path.lastIndexOf('/') + 1)}${reference}`
  const parts: string[] = []
  for (const part of whole.split('/')) {
    if (part === '..') parts.pop()
    else if (part !== '.' && part !== '') parts.push(part)
  }
  return `${origin}/${parts.join('/')}`
}

/**
 * The source that reads a URL: http, https, tftp, file, or an absolute path.
 * Throws a `BootError` for every other scheme, by name.
 */
export function sourceOf(url: string, deadlines: Deadlines): Source {
  if (url.startsWith('/')) return { kind: 'file', path: url }
  const scheme = schemeOf(url)
  switch (scheme) {
    case 'http':
    case 'https':
      if (hostOf(url) === undefined) throw new BootError(`${redactUrl(url)} names no server`)
      return { kind: 'http', url, deadlines }
    case 'tftp':
      if (hostOf(url) === undefined) throw new BootError(`${redactUrl(url)} names no server`)
      return { kind: 'tftp', url, deadlines }
    case 'file':
      return { kind: 'file', path: pathOfFileUrl(url) }
    case 'ftp':
    case 'ftps':
    case 'sftp':
      throw new BootError(`${redactUrl(url)}: ${scheme}:// is refused, init does not speak it`, {
        advice: ['Serve the same file over http, https or tftp, and change the URL.'],
      })
    default:
      throw new BootError(
        scheme === undefined
          ? `'${redactUrl(url)}' is neither a URL nor an absolute path`
          : `${redactUrl(url)}: ${scheme}: is not a scheme that init can fetch`,
        { advice: ['Use http://, https://, tftp://, file:/// or an absolute path.'] },
      )
  }
}

/** RFC 8089: `file:///path`, `file:/path`, `file://localhost/path`. */
function pathOfFileUrl(url: string): string {
  const [, , authority = '', path = ''] = GENERIC.exec(url) ?? []
  if ((authority !== '' && authority.toLowerCase() !== 'localhost') || !path.startsWith('/')) {
    throw new BootError(`${url} is not a file on this machine`, {
      advice: ['A file URL has three slashes: file:///media/sda1/overlay.apkovl.tar.gz'],
    })
  }
  try {
    return decodeURIComponent(path)
  } catch (cause) {
    throw new BootError(`${url} has a broken %-escape`, { cause })
  }
}
