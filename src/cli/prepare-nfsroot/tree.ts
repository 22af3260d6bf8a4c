/** An installed system in a directory of this machine: its symlinks lead inside of it, whatever this machine has there. */

import {
  existsSync,
  lstatSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  type Stats,
  statSync,
} from 'node:fs'
import { join } from 'node:path'
import { CommandError } from '../../../build/error.ts'

/** Of a configuration file: what is larger is none. */
const mostBytes = 1 << 20
/** The kernel's own limit (path_resolution(7)). */
const mostLinks = 40

export class Tree {
  /** Absolute, without symlinks. */
  readonly directory: string

  /** Throws where it is no system that machines could share, or this machine's own. */
  constructor(directory: string) {
    if (statSync(directory, { throwIfNoEntry: false })?.isDirectory() !== true) {
      throw new CommandError(`${directory} is no directory`)
    }
    this.directory = realpathSync(directory)
    const [here, own] = [statSync(this.directory), statSync('/')]
    if (here.dev === own.dev && here.ino === own.ino) {
      throw new CommandError(`${directory} is the root of this very machine, which would not come up again`)
    }
    const inits = ['sbin/init', 'usr/lib/systemd/systemd', 'lib/systemd/systemd', 'bin/busybox']
    if (!this.has('etc') || !inits.some((path) => this.has(path) || this.look(path)?.isSymbolicLink())) {
      throw new CommandError(`${directory} is no installed system: it has no /etc, or no /sbin/init`, {
        advice: [
          "The directory is the system's root, as debootstrap, dnf --installroot or --install make it.",
        ],
      })
    }
    this.refuseMounts()
  }

  /** Where a path is, its parents' symlinks followed, itself not: relative to the tree. */
  place(path: string): string {
    const wanted = path.split('/').filter((part) => part !== '' && part !== '.')
    const last = wanted.pop()
    return last === undefined ? '' : [...this.follow(wanted, path), last].join('/')
  }

  /** The outer path of one that `place` gave. */
  at(placed: string): string {
    return join(this.directory, placed)
  }

  /** Itself, not what a symlink leads to; undefined: it is not there. */
  look(path: string): Stats | undefined {
    return lstatSync(this.at(this.place(path)), { throwIfNoEntry: false })
  }

  /** What it leads to is there, inside of the tree. */
  has(path: string): boolean {
    return existsSync(this.real(path))
  }

  /** Where a symlink leads, as it is written; undefined: it is none. */
  linkAt(path: string): string | undefined {
    return this.look(path)?.isSymbolicLink() ? readlinkSync(this.at(this.place(path))) : undefined
  }

  /** Of a file, or of what a symlink leads to; undefined: there is none, or none of text. */
  text(path: string): string | undefined {
    const real = this.real(path)
    const found = statSync(real, { throwIfNoEntry: false })
    if (found?.isFile() !== true || found.size > mostBytes) return undefined
    return readFileSync(real, 'utf8')
  }

  /** Names, sorted; none where there is no such directory. */
  list(path: string): readonly string[] {
    const real = this.real(path)
    return statSync(real, { throwIfNoEntry: false })?.isDirectory() ? readdirSync(real).sort() : []
  }

  private real(path: string): string {
    const parts = path.split('/').filter((part) => part !== '' && part !== '.')
    return this.at(this.follow(parts, path).join('/'))
  }

  private follow(parts: readonly string[], path: string): readonly string[] {
    let at: readonly string[] = []
    let rest = [...parts]
    for (let links = 0; rest.length > 0; ) {
      const [next = '', ...others] = rest
      rest = others
      // Above the root there is the root.
      if (next === '..') at = at.slice(0, -1)
      if (next === '..' || next === '.' || next === '') continue
      const place = join(this.directory, ...at, next)
      if (lstatSync(place, { throwIfNoEntry: false })?.isSymbolicLink() !== true) {
        at = [...at, next]
        continue
      }
      if (++links > mostLinks) throw new CommandError(`${path} of ${this.directory} leads round in circles`)
      const target = readlinkSync(place)
      if (target.startsWith('/')) at = []
      rest = [...target.split('/'), ...rest]
    }
    return at
  }

  /** Somebody works in it by chroot: this machine's own devices and processes are in it then. */
  private refuseMounts(): void {
    if (!existsSync('/proc/self/mountinfo')) return
    for (const line of readFileSync('/proc/self/mountinfo', 'utf8').split('\n')) {
      const [, place = '', type = ''] = /^\S+ \S+ \S+ \S+ (\S+) .* - (\S+) /.exec(line) ?? []
      const unescaped = place.replace(/\\([0-7]{3})/g, (_, octal: string) =>
        String.fromCharCode(Number.parseInt(octal, 8)),
      )
      if (!unescaped.startsWith(`${this.directory}/`)) continue
      if (!['proc', 'sysfs', 'devtmpfs', 'devpts'].includes(type)) continue
      throw new CommandError(`${type} is mounted at ${unescaped}: somebody works in it`, {
        advice: [`When that is done: umount ${unescaped}`],
      })
    }
  }
}
