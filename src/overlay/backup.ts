/**
 * An earlier state of the overlay: `lbu commit` keeps what it replaces beside it, as HOSTNAME.YYYYMMDDHHMMSS.tar.gz
 * (UTC), as many as BACKUP_LIMIT of lbu.conf says.
 */

import { redactUrl } from '../network/url.ts'
import { BootError, type Sys } from '../sys/index.ts'
import { type Found, list, onServers } from './find.ts'
import { isCipher, nameOf } from './name.ts'
import type { MediaOfOverlay } from './overlay.ts'

interface Backup {
  readonly path: string
  readonly host: string
  /** Fourteen digits. */
  readonly date: string
}

/**
 * `wanted`: a backup's name, or how its date begins; of several the newest is taken. They are looked for beside the
 * overlay, and where that is gone, at the roots of the media.
 */
export async function chooseBackup(
  sys: Pick<Sys, 'files'>,
  current: Found,
  wanted: string,
  media: MediaOfOverlay,
): Promise<Found> {
  if (current.kind === 'found' && !current.place.startsWith('/')) {
    return onServers([current.place, ...current.mirrors].map((url) => backupOnServer(url, wanted)))
  }
  const there = await backupsOf(sys, current, media)
  const byName = there.filter(({ path }) => nameOf(path) === wanted)
  const host = current.kind === 'found' ? /^(.*)\.apkovl\./.exec(nameOf(current.place))?.[1] : undefined
  const byDate = there.filter((each) => each.date.startsWith(wanted) && each.host === (host ?? each.host))
  const [newest, ...others] = (byName.length > 0 ? byName : byDate).toSorted((a, b) =>
    a.date < b.date ? 1 : -1,
  )
  if (newest === undefined) {
    const names = there.map(({ path }) => path).sort()
    const advice =
      names.length === 0
        ? 'lbu keeps none unless BACKUP_LIMIT= in lbu.conf says how many'
        : `there are: ${list(names)}`
    return {
      kind: 'missing',
      error: new BootError(`no backup of the overlay is named, or dated, ${wanted}`, { advice: [advice] }),
    }
  }
  const rival = others.find((each) => byName.length > 0 || each.host !== newest.host)
  if (rival !== undefined) {
    throw new BootError(`several backups could be meant: ${list([newest.path, rival.path])}`, {
      advice: ['name the overlay as well, apkovl=DEVICE:/PATH, or the whole name of the backup'],
    })
  }
  return { kind: 'found', place: newest.path, mirrors: [], shown: newest.path }
}

async function backupsOf(
  sys: Pick<Sys, 'files'>,
  current: Found,
  { media, overlayTarget }: MediaOfOverlay,
): Promise<readonly Backup[]> {
  const directories =
    current.kind === 'found'
      ? [current.place.slice(0, current.place.lastIndexOf('/') + 1)]
      : [
          ...media.map(({ target }) => `${target}/`),
          ...(overlayTarget === undefined ? [] : [`${overlayTarget}/`]),
        ]
  const found: Backup[] = []
  for (const directory of new Set(directories)) {
    for (const name of await sys.files.list(directory)) {
      const backup = parseBackup(name)
      const path = `${directory}${name}`
      if (backup !== undefined && (await sys.files.status(path))?.kind === 'file')
        found.push({ ...backup, path })
    }
  }
  return found
}

function parseBackup(name: string): Pick<Backup, 'host' | 'date'> | undefined {
  const [, host, date, suffix] = /^([^\p{Cc}]+)\.(\d{14})\.tar\.gz(?:\.([a-z0-9-]+))?$/u.exec(name) ?? []
  if (host === undefined || date === undefined || (suffix !== undefined && !isCipher(suffix)))
    return undefined
  return { host, date }
}

/** A server cannot be asked which there are. */
function backupOnServer(url: string, wanted: string): string {
  const [, before = '', name = '', after = ''] = /^([^?#]*\/)([^/?#]*)(.*)$/s.exec(url) ?? []
  const dated = /^\d{14}$/.test(wanted) ? name.replace(/\.apkovl(?=\.tar\.)/, `.${wanted}`) : name
  const backup = parseBackup(wanted) === undefined ? dated : wanted
  if (backup === name) {
    throw new BootError(`${redactUrl(url)}: a server cannot be asked which backups there are`, {
      advice: [
        'give the whole name, or the whole date with fourteen digits: diskless.apkovl_backup=20260131235959',
      ],
    })
  }
  return `${before}${backup}${after}`
}
