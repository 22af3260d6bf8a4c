/**
 * docs/pains.md names tests: each must be where it says. A test is written as a link to its file, a ›, and its name:
 * `[join](../test/unit/network/join.test.ts) › no carrier anywhere`; several of one row are apart by `<br>`.
 */

import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { projectRoot } from './processes.ts'

const named = /^\[[^\]]+\]\(\.\.\/([^)]+)\) › (.+)$/

/** What is wrong with the document, a line each; empty: nothing. */
export function findRot(document: string, read: (path: string) => string | undefined): string[] {
  const rows = document.split('\n').filter((line) => /^\| *\d/.test(line))
  if (rows.length === 0) return ['docs/pains.md has no rows']
  return rows.flatMap((row) => {
    const [, pain = '', tests = ''] = row.split('|').map((cell) => cell.trim())
    return tests.split('<br>').flatMap((test) => {
      const [, path, name] = named.exec(test) ?? []
      if (path === undefined || name === undefined) return [`${pain}: names no test: ${test}`]
      const text = read(path)
      if (text === undefined) return [`${pain}: there is no ${path}`]
      const written = path.endsWith('.rs') ? `fn ${name}()` : `'${name}'`
      return text.includes(written) ? [] : [`${pain}: ${path} has no test “${name}”`]
    })
  })
}

export function checkPains(): string[] {
  const read = (path: string) => {
    const file = join(projectRoot, path)
    return existsSync(file) ? readFileSync(file, 'utf8') : undefined
  }
  return findRot(read('docs/pains.md') ?? '', read)
}
