/** Initrds with the same modules, each compressed by zstd at its highest usual level: what is left is the peers' programs. */

import { statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Module } from '../../build/catalog.ts'
import { compressInitrd } from '../../build/compression.ts'
import { type Entry, writeCpio } from '../../build/cpio.ts'
import { selectModules } from '../../build/modules.ts'
import { nfsModules } from './nfs.ts'
import { peers } from './peers.ts'
import type { Contest, Subject } from './row.ts'
import { type Entrant, fingerprint, type Workshop } from './workshop.ts'

export async function sizeContests(shop: Workshop): Promise<Contest[]> {
  const ours: Entrant = { name: 'diskless', file: await shop.ours(nfsModules), append: '' }
  const { modules: chosen } = selectModules(shop.catalog, nfsModules)
  const names = chosen.map(({ name }) => name)
  const bare: Entrant = {
    name: 'the modules alone',
    isFloor: true,
    file: await pack(shop, chosen),
    append: '',
  }
  const rivals: Entrant[] = []
  for (const peer of [peers.initramfs, peers.dracut, peers.live])
    rivals.push(await shop.peer(peer, '', names))
  const modules = `the ${names.length} modules of ${nfsModules.join(', ')}`
  return [
    {
      id: 'size',
      group: 'size',
      title: 'initrd with the same modules',
      unit: 'MB',
      exact: true,
      goals: rivals.map(({ name }) => ({ against: name, atMost: 0.5 })),
      note: `${modules}, zstd -19; besides, live-boot brings its file systems, and dracut every network card’s driver`,
      subjects: [ours, bare, ...rivals].map(sized),
    },
  ]
}

/** What nobody can go below. */
async function pack({ catalog, directory }: Workshop, modules: readonly Module[]): Promise<string> {
  const tree = modules.map((module): [string, Entry] => {
    return [`lib/${module.path}`, { kind: 'file', mode: 0o644, bytes: catalog.read(module) }]
  })
  const path = join(directory, 'modules')
  writeFileSync(path, await compressInitrd(writeCpio(new Map(tree)), 19))
  return path
}

function sized({ append, file, isFloor = false, name }: Entrant): Subject {
  const measure = async () => {
    if (file instanceof Error) throw file
    return { value: statSync(file).size / 1e6 }
  }
  return { name, isFloor, basis: fingerprint({ append, file }), measure }
}
