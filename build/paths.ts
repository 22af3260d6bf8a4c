/** Where the package's own files are. */

import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const packageRoot = dirname(dirname(fileURLToPath(import.meta.url)))
/** What is built here once for every initrd: the bundle, the bytecode, /init. */
export const workDirectory = join(packageRoot, 'out')
/** What can be made again at any time: unpacked kernels, what their modules say. */
export const cacheDirectory = join(packageRoot, 'cache')
