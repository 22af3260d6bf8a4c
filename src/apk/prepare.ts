/** What is known of a package as soon as it is staged, so that nothing is left to think of when its turn comes. */

import type { StagedPackage } from '../sys/index.ts'
import { type Owner, ownerOf, type PackageInfo, parsePackageInfo } from './pkginfo.ts'
import type { SelectedPackage } from './select.ts'
import { field, installedStanza } from './stanza.ts'

export interface Prepared {
  /** Of the stage. */
  readonly id: number
  readonly stage: StagedPackage
  readonly info: PackageInfo
  readonly owner: Owner
  /** For the database. */
  readonly stanza: string
}

export function prepare(pkg: SelectedPackage, stage: StagedPackage): Prepared {
  const { name, version, checksum, tag } = pkg
  const info = parsePackageInfo(stage.pkginfo)
  return {
    id: stage.id,
    stage,
    info,
    owner: ownerOf({ name, version, checksum, origin: field(pkg.stanza, 'o') }, info),
    stanza: installedStanza(pkg.stanza, { ...info, tag }),
  }
}
