/** Where the package's own files are, and where it writes. */

import { existsSync } from 'node:fs'
import { homedir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const packageRoot = dirname(dirname(fileURLToPath(import.meta.url)))
/** Whether this is the source, and not a package that npm installed: that has no Rust. */
export const isCheckout = existsSync(join(packageRoot, 'runtime/Cargo.toml'))

const writable = isCheckout ? packageRoot : join(cacheHome(), 'diskless')
/** What is built here once for every initrd: the bundle, the bytecode, /init. */
export const workDirectory = join(writable, 'out')
/** What can be made again at any time: unpacked kernels, what their modules say. */
export const cacheDirectory = join(writable, 'cache')

/** XDG Base Directory Specification: a relative path is to be ignored. */
function cacheHome(): string {
  const wished = process.env.XDG_CACHE_HOME
  return wished?.startsWith('/') ? wished : join(homedir(), '.cache')
}
