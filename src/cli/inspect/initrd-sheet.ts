/** An initrd, for a person. */

import { showBytes, showCount } from '../../boot/format.ts'
import type { Section, Sheet } from '../sheet.ts'
import type { InitFacts } from './init.ts'
import type { Group, InitrdFacts, SegmentFacts } from './initrd.ts'
import { type KeyFacts, keyRow } from './keys.ts'
import type { InspectOptions } from './report.ts'

const fewGroups = 12
const fewCertificates = 6

export function initrdSheet(facts: InitrdFacts, { subject, all }: InspectOptions): Sheet {
  const { kernels, modules, firmware, images, keymaps, certificates, brokenCertificates } = facts
  return {
    title: `${subject}: an initrd, ${showBytes(facts.size)}`,
    sections: [
      {
        parts: [
          {
            kind: 'facts',
            rows: [
              ['init', ...describeInit(facts.init)],
              ['kernel', kernels.length === 0 ? 'none: it has no modules' : kernels.join(', ')],
              ['in memory', `${showBytes(facts.unpacked)} in ${showCount(facts.files, 'file')}`],
              ...images.map(({ path, type, bytes }): [string, string] => [
                'root image',
                `${path}, ${type}, ${showBytes(bytes)}`,
              ]),
              ['keymaps', keymaps.length === 0 ? 'none' : keymaps.join(' ')],
            ],
          },
          { kind: 'notes', tone: 'bad', lines: warnings(facts) },
        ],
      },
      segmentSection(facts.segments),
      groupSection('Kernel modules', modules, all, 'module'),
      ...(all
        ? [
            {
              title: 'Modules by name',
              parts: [{ kind: 'notes', tone: 'plain', lines: facts.moduleNames } as const],
            },
          ]
        : []),
      groupSection('Firmware', firmware, all, 'file'),
      keySection('Keys of repositories (etc/apk/keys)', facts.keys),
      keySection('Keys of overlays: each must be signed by one', facts.overlayKeys),
      {
        title: `Certificates that https trusts: ${certificates.length}`,
        parts: [
          {
            kind: 'table',
            columns: [{ title: '' }, { title: '' }],
            rows: certificates
              .slice(0, all ? undefined : fewCertificates)
              .map(({ subject, notAfter }) => [subject, `until ${notAfter}`]),
            ...moreThan(certificates.length, all ? certificates.length : fewCertificates),
          },
          {
            kind: 'notes',
            tone: 'bad',
            lines: brokenCertificates === 0 ? [] : [`${brokenCertificates} of them cannot be read`],
          },
        ],
      },
      {
        title: 'Largest files',
        parts: [
          {
            kind: 'table',
            columns: [{ title: '', right: true }, { title: '' }],
            rows: facts.largest.map(({ path, bytes }) => [showBytes(bytes), path]),
          },
        ],
      },
    ],
  }
}

function describeInit(init: InitFacts): readonly string[] {
  switch (init.kind) {
    case 'none':
      return ['none: the kernel would find nothing to start']
    case 'other':
      return [init.name]
    case 'diskless': {
      const { version, built, shell, hooks, host, bytecode } = init
      const of = built === undefined ? '' : `, of ${built}`
      return [
        `diskless${version === undefined ? '' : ` ${version}`}${of}`,
        `${showBytes(host)} of native code, ${showBytes(bytecode)} of bytecode`,
        ...(hooks.length === 0 ? [] : [`with hooks: ${hooks.join(', ')}`]),
        ...(shell === undefined ? [] : [`emergency shell: ${shells[shell] ?? shell}`]),
      ]
    }
  }
}

const shells: Readonly<Record<string, string>> = {
  open: 'open to whoever is at the console',
  password: 'behind a password',
  none: 'none',
}

function warnings({ init, kernels, keys }: InitrdFacts): readonly string[] {
  return [
    ...(kernels.length > 1
      ? ['it has modules of several kernels: only those of the one that boots it count']
      : []),
    ...(init.kind === 'diskless' && keys.length === 0
      ? ['it has no key of a repository: nothing can be installed that an overlay does not bring a key for']
      : []),
    ...keys.filter(({ type }) => type === undefined).map(({ name }) => `${name} is no public key`),
    ...keys
      .filter(({ type }) => type === 'a PRIVATE key')
      .map(({ name }) => `${name} is a private key: whoever fetches the initrd has it`),
  ]
}

function segmentSection(segments: readonly SegmentFacts[]): Section {
  return {
    title: showCount(segments.length, 'archive'),
    parts: [
      {
        kind: 'table',
        columns: [
          { title: 'at byte', right: true },
          { title: 'size', right: true },
          { title: 'unpacked', right: true },
          { title: 'entries', right: true },
          { title: 'packing' },
          { title: 'holds' },
        ],
        rows: segments.map(({ offset, size, unpacked, entries, packing, holds }) => [
          String(offset),
          showBytes(size),
          showBytes(unpacked),
          String(entries),
          packing === 'none' ? '-' : packing,
          holds,
        ]),
      },
    ],
  }
}

function groupSection(title: string, groups: readonly Group[], all: boolean, what: string): Section {
  const sum = (of: 'files' | 'bytes') => groups.reduce((total, group) => total + group[of], 0)
  const most = all ? groups.length : fewGroups
  return {
    title: `${title}: ${showCount(sum('files'), what)}, ${showBytes(sum('bytes'))}`,
    parts: [
      {
        kind: 'table',
        columns: [{ title: '', right: true }, { title: '', right: true }, { title: '' }],
        rows: groups.slice(0, most).map(({ name, files, bytes }) => [String(files), showBytes(bytes), name]),
        ...moreThan(groups.length, most),
      },
    ],
  }
}

function keySection(title: string, keys: readonly KeyFacts[]): Section {
  const columns = [{ title: '' }, { title: '' }, { title: '' }]
  return { title, parts: [{ kind: 'table', columns, rows: keys.map(keyRow) }] }
}

/** The last line of a table that is cut. */
export function moreThan(many: number, shown: number): { readonly more?: string } {
  return many > shown ? { more: `and ${many - shown} more: --all` } : {}
}
