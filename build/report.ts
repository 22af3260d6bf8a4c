/** The table that a build ends with: what takes how much room in the initrd. */

import { compressInitrd } from './compression.ts'
import type { Placed } from './initrd.ts'

export interface Row {
  readonly part: string
  readonly files: number
  /** Bytes before compression. */
  readonly raw: number
  /** Its share of the initrd's bytes. */
  readonly compressed: number
}

export interface Report {
  readonly rows: readonly Row[]
  readonly raw: number
  readonly compressed: number
}

/**
 * A part's share of the compressed whole: parts are compressed each by itself, quickly, and the sizes scaled to the
 * whole's.
 */
export async function measure(
  tree: ReadonlyMap<string, Placed>,
  raw: number,
  compressed: number,
): Promise<Report> {
  const parts = new Map<string, Uint8Array[]>()
  for (const entry of tree.values()) {
    if (entry.kind !== 'file') continue
    parts.set(entry.part, [...(parts.get(entry.part) ?? []), entry.bytes])
  }
  const alone = await Promise.all(
    [...parts].map(async ([part, contents]) => {
      const bytes = Buffer.concat(contents)
      return {
        part,
        files: contents.length,
        raw: bytes.length,
        size: (await compressInitrd(bytes, 3)).length,
      }
    }),
  )
  const sum = alone.reduce((total, { size }) => total + size, 0)
  return {
    rows: alone
      .sort((a, b) => b.size - a.size)
      .map((row) => ({
        part: row.part,
        files: row.files,
        raw: row.raw,
        compressed: Math.round((row.size / sum) * compressed),
      })),
    raw,
    compressed,
  }
}

export function printReport(report: Report): string {
  const kilobytes = (bytes: number) => `${(bytes / 1000).toFixed(0)} kB`
  const lines = [
    ['', 'files', 'raw', 'in the initrd'],
    ...report.rows.map((row) => [row.part, String(row.files), kilobytes(row.raw), kilobytes(row.compressed)]),
    ['initrd', '', kilobytes(report.raw), kilobytes(report.compressed)],
  ]
  const width = (column: number) => Math.max(...lines.map((line) => line[column]?.length ?? 0))
  const widths = [0, 1, 2, 3].map(width)
  return lines
    .map((line) =>
      line
        .map((cell, column) =>
          column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0),
        )
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}
