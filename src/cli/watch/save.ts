/** Each boot's timeline as a file, for `diskless timeline`: checked before it is written, under a name that is ours. */
import { renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { CommandError } from '../../../build/error.ts'
import { makeDirectory } from '../../../build/make-directory.ts'
import { timelineFile } from '../timeline/read.ts'
import type { Happening } from './fleet.ts'

export interface Archive {
  /** The file; undefined where there is nothing to keep. Throws a `CommandError`, or the file system's own. */
  keep(happening: Happening): string | undefined
}

/** A stranger does not fill the disk: so many files, and each is as large as what is drawn of it. */
export function openArchive(directory: string, mostFiles: number): Archive {
  makeDirectory(directory)
  const written = new Set<string>()
  return {
    keep(happening) {
      const whole = fileOf(happening)
      if (whole === undefined) return undefined
      const { machine } = happening
      const { sender } = machine
      const name = `${(sender.mac ?? 'unknown').replaceAll(':', '-')}-${sender.boot.slice(0, 36).replace(/^\.+/, '')}.json`
      if (!written.has(name) && written.size >= mostFiles) {
        throw new CommandError(`${mostFiles} timelines are in ${directory}: no more are kept`, {
          advice: ['Move them away and start diskless watch again.'],
        })
      }
      const path = join(directory, name)
      writeFileSync(`${path}.part`, `${JSON.stringify(whole, undefined, 2)}\n`)
      renameSync(`${path}.part`, path)
      written.add(name)
      return path
    },
  }
}

/** What is kept of an end: undefined where it is none, or came without a timeline. */
export function fileOf({ machine, event }: Happening): object | undefined {
  if ((event.kind !== 'up' && event.kind !== 'failed') || event.timeline === undefined) return undefined
  const { hostname, mac, product, kernel, diskless } = machine.sender
  const failure = event.kind === 'failed' ? { phase: event.phase, chain: event.chain } : undefined
  return timelineFile(event.timeline, { hostname, mac, product, kernel, diskless }, failure)
}
