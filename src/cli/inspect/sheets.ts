/** Indexes, packages and locks, for a person. */

import { showBytes, showCount } from '../../boot/format.ts'
import type { Section, Sheet } from '../sheet.ts'
import { moreThan } from './initrd-sheet.ts'
import type { LockFacts } from './lock.ts'
import type { Counts, IndexFacts, PackageFacts } from './packages.ts'
import type { InspectOptions } from './report.ts'
import { showSignatures } from './signatures.ts'

const fewPackages = 10

export function indexSheet(facts: IndexFacts, { subject, all }: InspectOptions): Sheet {
  const { packages } = facts
  const listed = all ? packages : packages.toSorted((a, b) => b.size - a.size).slice(0, fewPackages)
  return {
    title: `${subject}: an index, ${showBytes(facts.size)}`,
    sections: [
      {
        parts: [
          {
            kind: 'facts',
            rows: [
              ['packages', `${packages.length}, of ${showCount(facts.origins, 'source')}`],
              ['architecture', facts.architectures.join(', ') || 'not told'],
              ['description', facts.description || 'none'],
              ['signed', ...showSignatures(facts.signatures)],
              ['newest', facts.newest ?? 'not told'],
              [
                'files',
                `${showBytes(facts.bytes)} to fetch, ${showBytes(facts.installedBytes)} installed, all together`,
              ],
            ],
          },
        ],
      },
      {
        title: all ? 'Packages' : 'Largest packages',
        parts: [
          {
            kind: 'table',
            columns: [
              { title: 'fetched', right: true },
              { title: 'installed', right: true },
              { title: 'package' },
              { title: '' },
            ],
            rows: listed.map(({ name, version, size, installedSize, description }) => [
              showBytes(size),
              showBytes(installedSize),
              `${name}-${version}`,
              description,
            ]),
            ...moreThan(packages.length, listed.length),
          },
        ],
      },
    ],
  }
}

/** As a person wants to know them, in this order. */
const shownFields: readonly (readonly [field: string, name: string])[] = [
  ['pkgdesc', 'what'],
  ['arch', 'architecture'],
  ['origin', 'source'],
  ['url', 'project'],
  ['license', 'licence'],
  ['maintainer', 'maintainer'],
  ['packager', 'packager'],
  ['commit', 'commit'],
  ['depend', 'depends'],
  ['provides', 'provides'],
  ['replaces', 'replaces'],
  ['install_if', 'comes with'],
  ['triggers', 'triggers on'],
]

export function packageSheet(facts: PackageFacts, { subject }: InspectOptions): Sheet {
  const { fields, scripts, dataIsRight } = facts
  const values = (name: string) => fields.filter(([field]) => field === name).map(([, value]) => value)
  const built = Number(values('builddate')[0])
  return {
    title: `${subject}: the package ${facts.name} ${facts.version}, ${showBytes(facts.size)}`,
    sections: [
      {
        parts: [
          {
            kind: 'facts',
            rows: [
              ...shownFields.flatMap(([field, name]): [string, string][] => {
                const text = values(field).join(' ')
                return text === '' ? [] : [[name, text]]
              }),
              ...(built > 0 && built < 1e11
                ? [['built', new Date(built * 1000).toISOString().replace('.000Z', 'Z')] as const]
                : []),
              ['signed', ...showSignatures(facts.signatures)],
              ['checksum', facts.checksum],
              [
                'scripts',
                scripts.length === 0
                  ? 'none'
                  : scripts.map(({ name, bytes }) => `${name} (${bytes} B)`).join(', '),
              ],
            ],
          },
          {
            kind: 'notes',
            tone: 'bad',
            lines:
              dataIsRight === false
                ? ['its files are not those that it was made with: it is damaged, or somebody changed it']
                : [],
          },
        ],
      },
      ...contentSections(facts, `${showBytes(Number(values('size')[0] ?? 0))} installed, by its own words`),
    ],
  }
}

/** What an archive unpacks to: how much, whose, the largest. */
export function contentSections(facts: Counts, about: string): readonly Section[] {
  const { files, links, directories, bytes, owners, setuid, largest } = facts
  return [
    {
      title: 'Contents',
      parts: [
        {
          kind: 'facts',
          rows: [
            [
              'entries',
              `${showCount(files, 'file')} of ${showBytes(bytes)}, ${showCount(links, 'link')}, ${showCount(directories, 'directory', 'directories')}; ${about}`,
            ],
            ...(owners.length === 0
              ? []
              : [
                  [
                    'owners',
                    owners
                      .slice(0, 12)
                      .map(({ owner, entries }) => `${owner}: ${entries}`)
                      .join(', '),
                  ] as const,
                ]),
            ...(setuid.length === 0 ? [] : [['set-uid or -gid', setuid.join(' ')] as const]),
          ],
        },
        {
          kind: 'table',
          columns: [{ title: 'largest', right: true }, { title: '' }],
          rows: largest.map(({ path, bytes }) => [showBytes(bytes), path]),
        },
      ],
    },
  ]
}

export function lockSheet(facts: LockFacts, { subject, all }: InspectOptions): Sheet {
  const { packages } = facts
  const undigested = packages.filter(({ sha256 }) => sha256 === undefined).length
  const listed = all ? packages : packages.slice(0, fewPackages)
  return {
    title: `${subject}: a lock, ${showBytes(facts.size)}`,
    sections: [
      {
        parts: [
          {
            kind: 'facts',
            rows: [
              ['made', facts.made],
              ['architecture', facts.architecture],
              ['signed', ...showSignatures(facts.signatures)],
              ['world', facts.world.join(' ')],
              ['repositories', ...facts.repositories],
              [
                'packages',
                `${packages.length}: ${showBytes(facts.bytes)} to fetch, ${showBytes(facts.installedBytes)} installed`,
              ],
            ],
          },
          {
            kind: 'notes',
            tone: 'plain',
            lines:
              undigested === 0
                ? []
                : [
                    `${showCount(undigested, 'package has', 'packages have')} no SHA-256: the index’s checksum counts`,
                  ],
          },
        ],
      },
      {
        title: 'In the order of installation',
        parts: [
          {
            kind: 'table',
            columns: [{ title: '', right: true }, { title: '' }, { title: '' }, { title: '' }],
            rows: listed.map(({ name, version, size, sha256 }) => [
              showBytes(size),
              name,
              version,
              sha256 === undefined ? '' : `SHA-256 ${sha256.slice(0, 16)}…`,
            ]),
            ...moreThan(packages.length, listed.length),
          },
        ],
      },
    ],
  }
}
