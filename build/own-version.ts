/** Which diskless this is. */

import { join } from 'node:path'
import { readOwnJson } from './own-json.ts'
import { packageRoot } from './paths.ts'

/** package.json's; `unknown` where that was cut short. */
export function ownVersion(): string {
  return readOwnJson<{ version: string }>(join(packageRoot, 'package.json'))?.version ?? 'unknown'
}
