/** `diskless publish`: lays out a directory that servers serve, and every loader's and server's file for it. */

import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { CommandError } from '../../build/error.ts'
import { cacheDirectory } from '../../build/paths.ts'
import { showBytes } from '../boot/format.ts'
import { UsageError } from './command.ts'
import { defineCommand } from './define.ts'
import { readSigningKey } from './lock/sign.ts'
import { readOptions } from './options.ts'
import type { Output } from './output.ts'
import { type Checked, checkDirectory } from './publish/check.ts'
import { type Changes, publishInto } from './publish/directory.ts'
import { mergeFlags, type PublishValues, publishOptions } from './publish/flags.ts'
import { gather } from './publish/gather.ts'
import { configName, loadConfig } from './publish/load-config.ts'
import { readWishes, type Wishes } from './publish/wishes.ts'

const help = "'diskless publish --help' lists the options."

const description = {
  name: 'publish',
  about: 'lays out a directory that servers serve to machines, and the servers’ own files',
  forms: ['DIR [OPTIONS]', 'DIR --check [--key FILE]'],
  question: { when: '--check', no: 'DIR is not what was published, or not signed with the key' },
  options: publishOptions,
  positionals: { name: 'DIR', least: 1, most: 1, complete: 'directory' },
  notes: [
    `What is published is said by ${configName} of this directory, or by the options, which win over it. The file is TypeScript and needs no installation: import { defineConfig } from 'diskless', then export default defineConfig({ … }). An editor completes it where diskless is installed.`,
    'DIR then has files/ (kernel, initrd and whatever is large, each below its digest), boot.ipxe, pxelinux.cfg/, grub/, machines/ (those that differ, by MAC), repositories/, overlays/, servers/ (dnsmasq as DHCP server and as proxy, ISC dhcpd, Kea, nginx, exports) and manifest, which lists all of it and may be signed.',
    'Publishing again writes only what differs, and renames it into place: a client that boots meanwhile gets the old state or the new one. What the state before named stays for one more publication.',
  ],
  examples: [
    {
      about: 'what diskless build wrote, for the network of this server',
      command: 'diskless publish /srv/diskless --boot ./boot --server 10.0.0.1/24',
    },
    {
      about: 'with an overlay and packages; everything else in diskless.config.ts',
      command: 'diskless publish /srv/diskless --overlay box.apkovl.tar.gz --repo ./apks',
    },
    { about: 'what would change', command: 'diskless publish /srv/diskless --dry-run' },
    {
      about: 'then, as root: DHCP and TFTP, and HTTP',
      command:
        'dnsmasq --conf-file=/srv/diskless/servers/dnsmasq.conf; nginx -c /srv/diskless/servers/nginx.conf',
    },
    {
      about: 'whether a copy on another server is whole, and whose it is',
      command: 'diskless publish /mnt/mirror --check --key publish.rsa.pub',
    },
  ],
} as const

export const publishCommand = defineCommand({
  ...description,
  async run({ values, positionals }, output) {
    const [directory = ''] = positionals
    if (values.check) return check(resolve(directory), values, output)
    if (values.key !== undefined) throw new UsageError('--key is for --check', help)
    const result = await publish(resolve(directory), values, output)
    output.result(result, () => describe(result, output))
    return 0
  },
})

/** Throws a `UsageError`. */
export function parse(words: readonly string[]): PublishValues {
  return readOptions(description, words).values
}

export interface PublishResult extends Changes {
  readonly directory: string
  readonly url: string | undefined
  /** False: --dry-run. */
  readonly done: boolean
  readonly signedWith: string | undefined
  readonly notes: readonly string[]
}

/** Rejects with a `CommandError` or a `UsageError`; what was published is then untouched, unless the message says otherwise. */
export async function publish(
  directory: string,
  values: PublishValues,
  output: Pick<Output, 'tell' | 'progress'>,
  onStep?: (what: string) => void,
): Promise<PublishResult> {
  if (/["\\#\p{Cc}]/u.test(directory)) {
    throw new UsageError(
      `${JSON.stringify(directory)} cannot be named in the files of all servers`,
      'Publish into a directory without quotes, backslashes and # in its path.',
    )
  }
  const wishes = await wishesOf(values)
  const key = wishes.sign === undefined ? undefined : readSigningKey(wishes.sign)
  const name = createHash('sha256').update(directory).digest('hex').slice(0, 16)
  const { site, placed, notes } = await gather(wishes, {
    directory,
    workshop: join(cacheDirectory, 'publish', name),
    tell: output.tell,
  })
  const progress = output.progress('Writing')
  const changes = await publishInto(directory, placed, {
    key,
    dryRun: values['dry-run'] ?? false,
    onProgress: progress.update,
    ...(onStep === undefined ? {} : { onStep }),
  }).finally(() => progress.end())
  return {
    directory,
    url: site.url,
    done: values['dry-run'] !== true,
    signedWith: key?.name,
    notes,
    ...changes,
  }
}

async function wishesOf(values: PublishValues): Promise<Wishes> {
  const named = values.config === undefined ? undefined : resolve(values.config)
  const usual = resolve(configName)
  const path = named ?? (existsSync(usual) ? usual : undefined)
  if (path === undefined && values.boot === undefined && values.kernel === undefined) {
    throw new UsageError(
      `there is no ${configName} here, and neither --boot nor --kernel: what is to be published?`,
      "A first one:\n  import { defineConfig } from 'diskless'\n  export default defineConfig({ boot: './boot', network: { server: '10.0.0.1/24' } })",
      help,
    )
  }
  const config = path === undefined ? {} : await loadConfig(path)
  const { value, flags } = mergeFlags(config, values)
  const shown = path === undefined ? 'the command line' : relative(process.cwd(), path) || path
  const { wishes, problems } = readWishes(value, path === undefined ? process.cwd() : dirname(path))
  if (problems.length === 0) return wishes
  const [only] = problems
  throw new CommandError(
    problems.length === 1
      ? `${shown}: ${only}`
      : `${shown} has ${problems.length} mistakes:\n  ${problems.join('\n  ')}`,
    {
      advice: [
        'Nothing was published.',
        ...(path !== undefined && flags.length > 0
          ? [`(Options count for what the file says: ${flags.join(', ')}.)`]
          : []),
      ],
    },
  )
}

async function check(directory: string, { key }: PublishValues, output: Output): Promise<number> {
  const progress = output.progress('Reading')
  const result = await checkDirectory(directory, key, progress.update).finally(() => progress.end())
  output.result(result, () => describeCheck(result))
  return result.wrong.length === 0 ? 0 : 1
}

function describeCheck({ directory, files, bytes, signedWith, verified, wrong }: Checked): string {
  const signature =
    signedWith === undefined
      ? 'not signed'
      : verified === undefined
        ? `signed, it says, with ${signedWith} (--key FILE verifies that)`
        : `signed with ${signedWith}, verified`
  const state =
    wrong.length === 0 ? 'whole' : `wrong in ${wrong.length} ${wrong.length === 1 ? 'place' : 'places'}`
  const problems = wrong.map((each) => `  ${each}\n`).join('')
  return `${directory}: ${files} files, ${showBytes(bytes)}, ${state}; ${signature}\n${problems}`
}

export function describe(result: PublishResult, output: Pick<Output, 'style'>): string {
  const { bytes, directory, done, kept, notes, removed, signedWith, unchanged, url, written } = result
  const verb = done ? { write: 'wrote', remove: 'removed' } : { write: 'would write', remove: 'would remove' }
  const sign = signedWith === undefined ? '' : `, signed with ${signedWith}`
  const head =
    written.length === 0 && removed.length === 0
      ? `${directory}: nothing changed, ${unchanged.length} files${sign}`
      : `${directory}: ${verb.write} ${counted(written.length)} (${showBytes(bytes)}), ${unchanged.length} unchanged${sign}`
  const shown = written.filter((path) => !path.endsWith('.apk'))
  const packages = written.length - shown.length
  const lines = [
    head,
    ...shown.map((path) => `  ${output.style('green', '+')} ${path}`),
    ...(packages === 0 ? [] : [`  ${output.style('green', '+')} ${packages} packages`]),
    ...removed.map((path) => `  ${output.style('red', '-')} ${path}`),
    ...(kept.length === 0
      ? []
      : [`  ${counted(kept.length)} of the state before stay for clients that began with it`]),
    ...(url === undefined ? [] : [`Clients find it at ${url}`]),
    ...notes.map((note) => `${output.style('yellow', 'Note:')} ${note}`),
  ]
  return `${lines.join('\n')}\n`
}

function counted(files: number): string {
  return files === 1 ? '1 file' : `${files} files`
}
