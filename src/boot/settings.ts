/** The command line read through the table of parameters: typed look-ups, and what is unknown, mistyped or refused. */
import { closest } from './closest.ts'
import type { CommandLine, Word } from './command-line.ts'
import { isParameter, type Parameter, type ParameterName, parameterRows, parameters } from './parameters.ts'

export interface Settings {
  /** The last value given; undefined when the parameter is absent. A parameter without `=` reads as `yes`. */
  text(name: ParameterName): string | undefined
  /** Every value given, in order. */
  all(name: ParameterName): readonly string[]
  /** Values split at commas, empty ones dropped. */
  list(name: ParameterName): readonly string[]
  flag(name: ParameterName): boolean
  /** Words that mean nothing to us and look like a typo of one that does. */
  readonly typos: readonly { readonly typed: string; readonly meant: string | undefined }[]
  readonly refusals: readonly { readonly parameter: string; readonly reason: string }[]
}

const singleWords = new Set(['s', '1', 'S'])

/** Which parameter a word of the command line is; undefined: none of ours. `NAME` reads as `yes`, `noNAME` as `no`. */
export function parameterOf({
  name,
  value,
}: Word): { readonly name: ParameterName; readonly value: string } | undefined {
  if (isParameter(name)) return { name, value: value ?? 'yes' }
  if (value !== undefined) return name.toLowerCase() === 'bootif' ? { name: 'BOOTIF', value } : undefined
  if (singleWords.has(name)) return { name: 'single', value: 'yes' }
  const negated = name.slice(2)
  return name.startsWith('no') && isParameter(negated) ? { name: negated, value: 'no' } : undefined
}

export function readSettings(line: CommandLine): Settings {
  const values = new Map<ParameterName, string[]>()
  const typos: { typed: string; meant: string | undefined }[] = []
  const add = (name: ParameterName, value: string) => values.set(name, [...(values.get(name) ?? []), value])

  for (const word of line.words) {
    const known = parameterOf(word)
    if (known === undefined) noteTypo(word.name, typos)
    else add(known.name, known.value)
  }

  const all = (name: ParameterName) => values.get(name) ?? []
  return {
    text: (name) => all(name).at(-1),
    all,
    list: (name) =>
      all(name)
        .flatMap((value) => value.split(','))
        .filter((part) => part !== ''),
    flag: (name) => !['no', '0', undefined].includes(all(name).at(-1)),
    typos,
    refusals: refusalsAmong(values),
  }
}

function refusalsAmong(values: ReadonlyMap<ParameterName, readonly string[]>) {
  const refusals: { parameter: string; reason: string }[] = []
  for (const [name, given] of values) {
    const { verdict }: Parameter = parameters[name]
    const value = given.at(-1) ?? ''
    if (typeof verdict !== 'object' || !('refused' in verdict) || value === 'no') continue
    refusals.push({ parameter: value === 'yes' ? name : `${name}=${value}`, reason: verdict.refused })
  }
  return refusals
}

/** The command line is full of words for the kernel and for others; only near misses of ours are worth a remark. */
function noteTypo(name: string, typos: { typed: string; meant: string | undefined }[]) {
  const honoured = parameterRows()
    .filter(([, parameter]) => parameter.verdict === 'honoured')
    .map(([known]) => known)
  const meant = name.length >= 4 && !kernelWords.has(name) ? closest(name, honoured) : undefined
  if (meant !== undefined || name.startsWith('diskless.')) typos.push({ typed: name, meant })
}

/** Parameters of the kernel that are within two edits of one of ours and are not typos. */
const kernelWords = new Set(['initrd', 'noinitrd', 'loglevel', 'nomodules', 'init', 'BOOT_IMAGE'])
