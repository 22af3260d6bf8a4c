/** `diskless prepare-nfsroot`: makes an installed tree one that many machines share read-only, and back. */

import { accessSync, constants, existsSync, rmSync } from 'node:fs'
import { resolve } from 'node:path'
import { CommandError, errnoOf } from '../../build/error.ts'
import { UsageError } from './command.ts'
import { defineCommand } from './define.ts'
import { wrap } from './help.ts'
import type { Values } from './option-table.ts'
import type { Output } from './output.ts'
import { applyChanges } from './prepare-nfsroot/apply.ts'
import { canKeepAttributes } from './prepare-nfsroot/attributes.ts'
import { looks, type Plan, planChanges, tellStep } from './prepare-nfsroot/changes.ts'
import { installTree } from './prepare-nfsroot/install.ts'
import { journalOf, readJournal, undo } from './prepare-nfsroot/journal.ts'
import { Tree } from './prepare-nfsroot/tree.ts'

const options = {
  'dry-run': { type: 'boolean', about: 'says what would be done, and does nothing' },
  undo: {
    type: 'boolean',
    about: 'brings back what was there before; what somebody changed since stays as it is',
  },
  force: { type: 'boolean', about: 'with --undo: what was changed since is brought back too' },
  links: {
    type: 'boolean',
    about:
      'for diskless.nfsroot=links: /etc is read-only on the machines, /var a copy in their memory; the databases of packages go to /usr/var, and /dev.tar.gz is made',
  },
  keep: {
    type: 'string',
    multiple: true,
    value: 'NAME',
    about: 'leaves out one of the changes, by its name',
    complete: Object.keys(looks),
  },
  journal: {
    type: 'string',
    value: 'FILE',
    about:
      'where the former contents are kept for --undo [DIR.diskless-undo, beside the tree: whoever mounts it does not see what was taken out]',
    complete: 'file',
  },
  install: {
    type: 'boolean',
    about: 'installs packages of Alpine into DIR first, which is new or empty; as root',
  },
  repo: {
    type: 'string',
    multiple: true,
    value: 'PLACE',
    about: "install: a repository, a directory or a URL, the preferred one first; '@TAG PLACE' as well",
    complete: 'directory',
  },
  world: {
    type: 'string',
    multiple: true,
    value: 'A,B',
    about: 'install: packages, or a file of them (./world); alpine-base comes by itself',
  },
  keys: {
    type: 'string',
    multiple: true,
    value: 'PLACE',
    about: 'install: public keys of the repositories: a file, or a directory of *.rsa.pub',
    complete: 'file',
  },
  apkovl: {
    type: 'string',
    value: 'FILE',
    about: 'install: an overlay, unpacked first: its files, users, services, world and keys',
    complete: 'file',
  },
  arch: {
    type: 'string',
    value: 'ARCH',
    about: "install: apk's name of the machines' architecture [x86_64]",
  },
  dev: { type: 'boolean', about: 'install: by an unoptimised host, which is quicker to build' },
} as const

export const prepareNfsrootCommand = defineCommand({
  name: 'prepare-nfsroot',
  about: 'makes an installed system the shared, read-only root of many machines',
  forms: ['DIR [OPTIONS]', 'DIR --install --repo PLACE --world A,B --keys PLACE [OPTIONS]', 'DIR --undo'],
  positionals: { name: 'DIR', least: 1, most: 1, complete: 'directory' },
  options,
  notes: [
    `The changes, each only where it is needed: ${Object.keys(looks).join(', ')}. What each does to which file, and why, is said while it is done, and by --dry-run. Once more on a prepared tree does what is new: after an upgrade of its packages, for example.`,
    'Nothing is written outside of DIR, wherever its symlinks lead. Before anything is changed, what was there is on the disk in the journal; whatever breaks it off, the same again goes on, and --undo brings all of it back, with owners, times, ACLs and other extended attributes.',
    'The configuration of network cards stays as it is: init tells the system, for each boot, to leave the card alone that its root comes by.',
  ],
  examples: [
    { about: 'what would be changed, and why', command: 'diskless prepare-nfsroot /srv/debian --dry-run' },
    {
      about: 'a system of debootstrap’s, ready for ten machines',
      command: 'diskless prepare-nfsroot /srv/debian',
    },
    { about: 'as it was', command: 'diskless prepare-nfsroot /srv/debian --undo' },
    {
      about: 'Alpine, installed there, with what an overlay says',
      command:
        'diskless prepare-nfsroot /srv/kiosk --install --repo /srv/alpine/main --keys /etc/apk/keys --apkovl kiosk.apkovl.tar.gz',
    },
  ],
  async run({ values, positionals }, output) {
    const [given = ''] = positionals
    checkTogether(values)
    if (values.undo) return undoAll(given, values, output)
    const packages = values.install ? await installInto(given, values, output) : undefined
    return prepare(given, values, packages, output)
  },
})

type Given = Values<typeof options>

/** Throws a `UsageError`. */
function checkTogether(values: Given): void {
  for (const name of values.keep ?? []) {
    if (!Object.hasOwn(looks, name)) {
      throw new UsageError(
        `--keep ${name}: there is no such change`,
        `There are: ${Object.keys(looks).join(', ')}`,
      )
    }
  }
  const ofInstall = ['repo', 'world', 'keys', 'apkovl', 'arch', 'dev'] as const
  const alone = ofInstall.find((option) => values[option] !== undefined)
  if (alone !== undefined && !values.install) throw new UsageError(`--${alone} goes with --install`)
  if (values.install && (values.undo || values['dry-run'])) {
    throw new UsageError(`--install goes without --${values.undo ? 'undo' : 'dry-run'}: it makes a new tree`)
  }
  if (values.force && !values.undo) throw new UsageError('--force goes with --undo')
}

async function installInto(directory: string, values: Given, output: Output): Promise<readonly string[]> {
  if (values.world === undefined && values.apkovl === undefined) {
    throw new UsageError('--world or --apkovl is missing: which packages?')
  }
  const journalPath = resolve(values.journal ?? `${resolve(directory)}.diskless-undo`)
  if (existsSync(journalPath)) {
    throw new CommandError(`${journalPath} is of a tree that was at ${directory} before`, {
      advice: ['Remove it, if that tree is gone: with it, nothing of the new one could be undone.'],
    })
  }
  const { order, messages } = await installTree(
    {
      directory,
      repositories: values.repo ?? [],
      world: values.world ?? [],
      keys: values.keys ?? [],
      arch: values.arch ?? 'x86_64',
      apkovl: values.apkovl,
      profile: values.dev ? 'dev' : 'release',
    },
    (line) => output.tell(line),
  )
  for (const message of messages) output.tell(message)
  return order
}

function prepare(
  given: string,
  values: Given,
  packages: readonly string[] | undefined,
  output: Output,
): number {
  const tree = new Tree(given)
  const dry = values['dry-run'] ?? false
  const journalPath = resolve(values.journal ?? journalOf(tree))
  refuseJournalInside(tree, journalPath)
  const former = readJournal(journalPath, tree)
  const changes = planChanges(tree, { links: values.links ?? false }, values.keep ?? [])
  const plan = { ...changes, notes: [...changes.notes, ...noteOnAttributes(changes)] }
  if (!dry) {
    refuseReadOnly(tree)
    applyChanges(tree, plan.changes, { journalPath, former })
  }
  const result = { tree: tree.directory, dryRun: dry, journal: journalPath, ...plan, packages }
  output.result(result, () => describe(tree, plan, { ...values, packages, journalPath }, output))
  return 0
}

function noteOnAttributes({ changes }: Plan): readonly string[] {
  if (changes.length === 0 || canKeepAttributes()) return []
  return [
    'Access control lists, labels and other extended attributes of files that are changed are not kept: it takes GNU tar, which is not here.',
  ]
}

function undoAll(given: string, values: Given, output: Output): number {
  const tree = new Tree(given)
  const dry = values['dry-run'] ?? false
  const journalPath = resolve(values.journal ?? journalOf(tree))
  const journal = readJournal(journalPath, tree)
  if (journal === undefined) {
    throw new CommandError(`${journalPath} is not there: nothing is known of what was changed in ${given}`, {
      advice: ['--journal FILE says where it is, if it is elsewhere.'],
    })
  }
  if (!dry) refuseReadOnly(tree)
  const undone = undo(tree, journal, { force: values.force ?? false, dry })
  if (!dry && undone.kept.length === 0) rmSync(journalPath)
  output.result({ tree: tree.directory, dryRun: dry, ...undone }, () => {
    const would = dry ? 'would be brought back' : 'brought back'
    const lines = undone.restored.map((path) => `/${path}: ${would}`)
    const kept = undone.kept.map(
      (path) => `/${path}: changed since, and left as it is; --force brings it back too`,
    )
    const none = lines.length + kept.length === 0 ? [`${tree.directory} is as it was already`] : []
    return [...lines, ...kept, ...none].map((line) => `${line}\n`).join('')
  })
  return undone.kept.length === 0 ? 0 : 1
}

function refuseReadOnly({ directory }: Tree): void {
  try {
    accessSync(directory, constants.W_OK)
  } catch (cause) {
    const advice =
      errnoOf(cause) === 'EROFS'
        ? 'It is mounted read-only: mount it read-write on this server.'
        : 'Its files are of root: run this as root.'
    throw new CommandError(`${directory} cannot be written`, { cause, advice: [advice] })
  }
}

/** What was taken out for being readable by all must not be. */
function refuseJournalInside({ directory }: Tree, journalPath: string): void {
  if (journalPath.startsWith(`${directory}/`)) {
    throw new UsageError(`--journal ${journalPath} is in the tree: whoever mounts that could read it`)
  }
}

/** Where the explanation of a change begins. */
const column = 18

interface Said {
  readonly 'dry-run'?: boolean | undefined
  readonly links?: boolean | undefined
  readonly packages: readonly string[] | undefined
  readonly journalPath: string
}

function describe(tree: Tree, { changes, notes }: Plan, said: Said, { style, width }: Output): string {
  const installed =
    said.packages === undefined ? [] : [`${said.packages.length} packages are installed in ${tree.directory}`]
  const lines = changes.flatMap(({ name, why, steps }) => [
    ...wrap(why, width - column).map((line, index) =>
      index === 0 ? `${style('bold', name.padEnd(column))}${line}` : `${''.padEnd(column)}${line}`,
    ),
    ...steps.map(
      (step) =>
        `${''.padEnd(column)}${style('dim', said['dry-run'] ? `would: ${tellStep(step)}` : tellStep(step))}`,
    ),
  ])
  const none = changes.length === 0 ? [`${tree.directory} is prepared already: nothing is to be changed`] : []
  const undoing = existsSync(said.journalPath)
    ? [`--undo brings back what was there, from ${said.journalPath}`]
    : []
  const links = said.links ? ' diskless.nfsroot=links' : ''
  const next = [
    'Export it read-only, as root has to read all of it:',
    `  ${tree.directory} 192.168.1.0/24(ro,no_root_squash,no_subtree_check)`,
    'and boot it:',
    `  root=nfs:SERVER:${tree.directory}${links}`,
  ]
  const all = [...installed, ...lines, ...none, ...notes.flatMap((note) => wrap(`Note: ${note}`, width))]
  return [...all, ...undoing, ...(said['dry-run'] ? [] : ['', ...next])].map((line) => `${line}\n`).join('')
}
