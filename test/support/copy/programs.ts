/**
 * Programs that stand first in a copy's PATH. `diskless` and `npx` run this checkout; the others stand for what is not there: `ssh`
 * another machine, `vi` a person, `xdg-open` a browser, `npm` its registry.
 */

import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { packageRoot } from '../../../build/paths.ts'

const busybox = createRequire(import.meta.url).resolve('busybox-static/bin/busybox')
const diskless = `${process.execPath} ${packageRoot}/bin/diskless`

const programs: Readonly<Record<string, string>> = {
  diskless: `exec ${diskless} "$@"`,
  npx: `[ "$1" = diskless ] || { echo "npx $1: not here" >&2; exit 1; }\nshift\nexec ${diskless} "$@"`,
  // The other machine is this copy with what is below /machines/NAME in its places.
  ssh: `machine=/machines/\${1#root@}
shift
[ -d "$machine" ] || { echo "ssh: nobody at $machine" >&2; exit 255; }
exec unshare --mount sh -ec 'for place in "$0"/*; do mount --rbind "$place" "/\${place##*/}"; done; eval "$1"' "$machine" "$*"`,
  vi: 'echo "a line of vi’s" >> "$1"',
  'xdg-open': 'echo "$*" >> /opened',
  npm: `[ "$*" = 'install --save-dev typescript' ] || { echo "npm $*: not here" >&2; exit 1; }
mkdir -p node_modules
ln -s ${packageRoot}/node_modules/typescript node_modules/typescript`,
}

/** A directory for PATH. */
export function makePrograms(directory: string): string {
  mkdirSync(directory)
  for (const [name, script] of Object.entries(programs))
    writeFileSync(join(directory, name), `#!/bin/sh\n${script}\n`, { mode: 0o755 })
  symlinkSync(busybox, join(directory, 'busybox'))
  return directory
}
