/** `sys.pipelines` of the fake machine: the same stages, run on Node over whole buffers. */

import { createHash } from 'node:crypto'
import { gunzipSync, zstdDecompressSync } from 'node:zlib'
import type {
  Filter,
  Pipeline,
  PipelineOptions,
  Pipelines,
  Results,
  Sink,
  Source,
} from '../../../src/sys/index.ts'
import { readIndex, readPackage } from './apk.ts'
import { aborted } from './clock.ts'
import { extract } from './extract.ts'
import { type Faults, refusal } from './faults.ts'
import type { FakeFiles } from './files.ts'
import type { FakePackages } from './packages.ts'
import type { FakeServers } from './servers.ts'
import { readTar } from './tar.ts'

export class FakePipelines implements Pipelines {
  /** Every pipeline asked for, in order. */
  readonly ran: { readonly source: Source; readonly filters: readonly Filter[]; readonly sink: Sink }[] = []
  readonly #files: FakeFiles
  readonly #servers: FakeServers
  readonly #packages: FakePackages
  readonly #faults: Faults

  constructor(files: FakeFiles, servers: FakeServers, packages: FakePackages, faults: Faults) {
    this.#files = files
    this.#servers = servers
    this.#packages = packages
    this.#faults = faults
  }

  async run<K extends Sink['kind']>(
    pipeline: Pipeline<K>,
    options: PipelineOptions = {},
  ): Promise<Results[K]> {
    this.ran.push(pipeline)
    const subject = subjectOf(pipeline.source)
    this.#faults.check('pipelines.run', subject)
    let bytes = await this.#read(pipeline.source, pipeline.filters, options)
    for (const [index, filter] of pipeline.filters.entries()) {
      bytes = applyFilter(filter, bytes, subject, pipeline.filters.slice(index + 1))
    }
    if (options.signal?.aborted) throw aborted(`pipeline.${pipeline.sink.kind}`, subject)
    return this.#sinks[pipeline.sink.kind](pipeline.sink, bytes, subject)
  }

  async #read(source: Source, filters: readonly Filter[], options: PipelineOptions): Promise<Buffer> {
    if (source.kind === 'file') return this.#files.read(source.path, 'pipeline.file')
    const first = filters[0]
    return this.#servers.fetch(source.kind, source.url, source.deadlines, {
      ...options,
      ...(first?.kind === 'limit' ? { atMost: first.bytes } : {}),
    })
  }

  readonly #sinks: {
    [K in Sink['kind']]: (sink: Extract<Sink, { kind: K }>, bytes: Buffer, subject: string) => Results[K]
  } = {
    file: (sink, bytes) => {
      const partial = `${sink.path}.part`
      this.#files.write(partial, bytes, { operation: 'pipeline.file', mode: sink.mode })
      const from = this.#files.tree.existing('pipeline.file', partial)
      const to = this.#files.tree.writable('pipeline.file', sink.path, false)
      from.mount.fileSystem.setMode(from.inner, sink.mode)
      from.mount.fileSystem.rename(from.inner, to.inner)
      return { bytes: bytes.length }
    },
    tree: (sink, bytes, subject) => {
      const unpacking = { files: this.#files, root: sink.root, operation: 'pipeline.tree', subject }
      const paths = readTar(bytes, 'pipeline.tree', subject).flatMap(
        (entry) => extract(unpacking, entry) ?? [],
      )
      return { bytes: bytes.length, paths }
    },
    text: (sink, bytes, subject) => {
      if (bytes.length > sink.bytes) throw tooBig('pipeline.text', subject, sink.bytes)
      return { bytes: bytes.length, text: bytes.toString('utf8') }
    },
    'apk-index': (_sink, bytes, subject) => {
      return { bytes: bytes.length, index: this.#packages.keepIndex(readIndex(bytes, subject)) }
    },
    'apk-stage': (sink, bytes, subject) => {
      const stage = this.#packages.keepStage(sink.root, readPackage(bytes, sink.checksum, subject), subject)
      return { bytes: bytes.length, stage }
    },
  }
}

function subjectOf(source: Source): string {
  return source.kind === 'file' ? source.path : source.url.replace(/^(\w+:\/\/)[^/@]*@/, '$1')
}

function tooBig(operation: string, subject: string, bytes: number) {
  return refusal('TOO_BIG', operation, subject, `more than ${bytes} bytes`)
}

function applyFilter(filter: Filter, bytes: Buffer, subject: string, after: readonly Filter[]): Buffer {
  const operation = `pipeline.${filter.kind}`
  switch (filter.kind) {
    case 'gunzip':
    case 'unzstd': {
      const decompress = filter.kind === 'gunzip' ? gunzipSync : zstdDecompressSync
      const limit = after.find((other) => other.kind === 'limit')?.bytes
      try {
        return decompress(bytes, limit === undefined ? {} : { maxOutputLength: limit + 1 })
      } catch (error) {
        const { code, message } =
          error instanceof Error ? { code: '', ...error, message: error.message } : { code: '', message: '' }
        if (code === 'ERR_BUFFER_TOO_LARGE') throw tooBig('pipeline.limit', subject, limit ?? 0)
        const truncated = code === 'Z_BUF_ERROR' || bytes.length === 0
        throw refusal(truncated ? 'TRUNCATED' : 'FORMAT', operation, subject, message)
      }
    }
    case 'digest': {
      const found = createHash(filter.algorithm).update(bytes).digest('hex')
      if (found === filter.expected.toLowerCase()) return bytes
      const message = `its ${filter.algorithm} is ${found}, not ${filter.expected}`
      throw refusal('DIGEST', operation, subject, message)
    }
    case 'limit':
      if (bytes.length > filter.bytes) throw tooBig(operation, subject, filter.bytes)
      return bytes
  }
}
