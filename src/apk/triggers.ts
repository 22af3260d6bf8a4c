/** Triggers: which directories a package's trigger is told of. */

import { inHashOrder } from './hash.ts'

/** A pattern of fnmatch(3) with FNM_PATHNAME: `*`, `?` and `[…]` do not match a slash. */
export function compilePattern(pattern: string): RegExp {
  let source = ''
  for (let i = 0; i < pattern.length; i++) {
    const sign = pattern.charAt(i)
    if (sign === '*') source += '[^/]*'
    else if (sign === '?') source += '[^/]'
    else if (sign === '[') {
      const set = /^\[([!^]?)(\]?[^\]/]*)\]/.exec(pattern.slice(i))
      if (set === null) source += '\\['
      else {
        const [whole, negated, members = ''] = set
        source += `(?!/)[${negated ? '^' : ''}${members.replace(/[\\\]^[]/g, '\\$&')}]`
        i += whole.length - 1
      }
    } else {
      if (sign === '\\' && i + 1 < pattern.length) i++
      source += pattern.charAt(i).replace(/[.*+?^${}()|[\]\\/]/g, '\\$&')
    }
  }
  return new RegExp(`^${source}$`)
}

/** Every directory that the database knows: of packages and of the overlay, with those above them. */
export class Directories {
  readonly #known = new Set<string>([''])

  /** Relative, with or without a trailing slash. */
  add(directory: string): void {
    // As most come, many times: a regular expression is slow in QuickJS.
    if (this.#known.has(directory)) return
    let path = directory.replace(/^(\.\/)+/, '').replace(/\/+$/, '')
    if (path === '.') return
    while (!this.#known.has(path)) {
      this.#known.add(path)
      const slash = path.lastIndexOf('/')
      path = slash < 0 ? '' : path.slice(0, slash)
    }
  }

  /** Those that match one of the patterns, absolute, in the order in which apk passes them to the trigger. */
  matching(patterns: readonly string[]): string[] {
    const expressions = patterns.filter((pattern) => pattern.startsWith('/')).map(compilePattern)
    const found = [...this.#known].filter((path) => expressions.some((pattern) => pattern.test(`/${path}`)))
    return inHashOrder(found, (path) => path).map((path) => `/${path}`)
  }
}
