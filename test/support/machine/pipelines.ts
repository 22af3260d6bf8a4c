/** `sys.pipelines` of the fake machine: the same stages, run on Node over whole buffers. */

import { createHash } from 'node:crypto'
import type {
  Copied,
  Filter,
  Flow,
  Pipeline,
  PipelineOptions,
  Pipelines,
  Results,
  Sink,
  Source,
} from '../../../src/sys/index.ts'
import { SysError } from '../../../src/sys/index.ts'
import { readIndex, readPackage } from './apk.ts'
import { aborted } from './clock.ts'
import { extract } from './extract.ts'
import type { Faults } from './faults.ts'
import type { FakeFiles } from './files.ts'
import { announcedLimit, applyFilter, tooBig } from './filters.ts'
import type { FakePackages } from './packages.ts'
import type { FakeServers, Fetched } from './servers.ts'
import { readTar } from './tar.ts'

type Sinks = {
  [K in Sink['kind']]: (
    sink: Extract<Sink, { kind: K }>,
    bytes: Buffer,
    subject: string,
    flow: Flow,
  ) => Results[K]
}

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
    const { source, filters, sink } = pipeline
    const subject = subjectOf(source)
    this.#faults.check('pipelines.run', subject)
    const read = await this.#read(source, filters, subject, options)
    let bytes = read.body
    for (const [index, filter] of filters.entries()) {
      const filtering = { files: this.#files, subject, after: filters.slice(index + 1) }
      bytes = applyFilter(filter, bytes, filtering)
    }
    if (options.signal?.aborted) throw aborted(`pipeline.${sink.kind}`, subject)
    const { validator } = read
    const flow = { bytes: read.body.length, ...(validator === undefined ? {} : { validator }) }
    const result = this.#sinks[sink.kind](sink, bytes, subject, flow)
    const { aside } = pipeline
    return aside === undefined ? result : { ...result, copied: this.#copy(aside, read.body) }
  }

  #copy({ path, bytes }: { readonly path: string; readonly bytes: number }, body: Buffer): Copied {
    if (body.length > bytes) return { givenUp: `more than ${bytes} bytes came, which is the limit` }
    try {
      this.#files.write(path, body, { operation: 'pipeline.aside', mode: 0o600 })
    } catch (error) {
      if (!(error instanceof SysError)) throw error
      return { givenUp: error.message }
    }
    return { sha256: createHash('sha256').update(body).digest('hex'), bytes: body.length }
  }

  async #read(
    source: Source,
    filters: readonly Filter[],
    subject: string,
    options: PipelineOptions,
  ): Promise<Fetched> {
    const atMost = announcedLimit(filters)
    if (source.kind !== 'file') {
      return this.#servers.fetch(source, { ...options, ...(atMost === undefined ? {} : { atMost }) })
    }
    const body = this.#files.read(source.path, 'pipeline.file')
    if (atMost !== undefined && body.length > atMost) throw tooBig('pipeline.limit', subject, atMost)
    return { body, validator: undefined }
  }

  readonly #sinks: Sinks = {
    file: (sink, bytes, _subject, flow) => {
      const partial = `${sink.path}.part`
      this.#files.write(partial, bytes, { operation: 'pipeline.file', mode: sink.mode })
      const from = this.#files.tree.existing('pipeline.file', partial)
      const to = this.#files.tree.writable('pipeline.file', sink.path, false)
      from.mount.fileSystem.setMode(from.inner, sink.mode)
      from.mount.fileSystem.rename(from.inner, to.inner)
      return flow
    },
    discard: (_sink, _bytes, _subject, flow) => flow,
    tree: (sink, bytes, subject, flow) => {
      const unpacking = { files: this.#files, root: sink.root, operation: 'pipeline.tree', subject }
      const paths = readTar(bytes, 'pipeline.tree', subject).flatMap(
        (entry) => extract(unpacking, entry) ?? [],
      )
      return { ...flow, paths }
    },
    text: (sink, bytes, subject, flow) => {
      if (bytes.length > sink.bytes) throw tooBig('pipeline.text', subject, sink.bytes)
      return { ...flow, text: bytes.toString('utf8') }
    },
    'apk-index': (_sink, bytes, subject, flow) => {
      return { ...flow, index: this.#packages.keepIndex(readIndex(bytes, subject)) }
    },
    'apk-stage': (sink, bytes, subject, flow) => {
      const stage = this.#packages.keepStage(sink.root, readPackage(bytes, sink.checksum, subject), subject)
      return { ...flow, stage }
    },
  }
}

function subjectOf(source: Source): string {
  return source.kind === 'file' ? source.path : source.url.replace(/^(\w+:\/\/)[^/@]*@/, '$1')
}
