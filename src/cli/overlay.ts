/** `diskless overlay`: makes, changes, compares and packs apkovls, without being root and without Alpine. */

import { existsSync } from 'node:fs'
import { CommandError } from '../../build/error.ts'
import { UsageError } from './command.ts'
import { defineCommand } from './define.ts'
import { readSigningKey, type SigningKey } from './lock/sign.ts'
import type { Values } from './option-table.ts'
import type { Output } from './output.ts'
import { applyWishes, emptyOverlay, notesOn, timeOfChange } from './overlay/apply.ts'
import { countEntries, describeDifferences } from './overlay/describe.ts'
import { compareOverlays, isSame } from './overlay/diff.ts'
import { packFrom, unpackTo } from './overlay/directory.ts'
import type { Contents } from './overlay/entry.ts'
import {
  checkOutput,
  type Derivation,
  Passphrase,
  readOverlayFile,
  refuseStaleSignature,
  writeOverlayFile,
} from './overlay/file.ts'
import { chooseAction, overlayOptions } from './overlay/options.ts'
import { parseWishes } from './overlay/wishes.ts'

export const overlayCommand = defineCommand({
  name: 'overlay',
  about: 'makes, changes, compares and packs overlays (apkovl), without being root',
  forms: [
    'new OUT [OPTIONS]',
    'edit FILE [OPTIONS]',
    'diff A B',
    'pack DIR OUT [OPTIONS]',
    'unpack FILE DIR',
  ],
  positionals: {
    name: 'new, edit, diff, pack or unpack',
    least: 1,
    most: 3,
    actions: ['new', 'edit', 'diff', 'pack', 'unpack'],
    complete: 'file',
  },
  question: { when: 'diff', no: 'the overlays differ' },
  options: overlayOptions,
  notes: [
    'new makes an overlay with what the options say. edit changes one that is there, lbu’s too: what is to go goes first. diff says what differs; its exit status is 0, 1 or larger, as that of diff(1). unpack makes a directory of it with a manifest of the owners, which anybody can edit, and pack an overlay of that.',
    'OUT and FILE are called NAME.apkovl.tar.gz, or .tar.zst; with .aes-256-cbc (or 192, 128) behind it they are encrypted as `lbu commit -e` does it.',
    'Owners, modes, devices, hard links and extended attributes are kept as they are in the archive: nothing is unpacked. What has changed gets the time of now, or SOURCE_DATE_EPOCH; with that, the same input gives the same bytes (but for a password that is hashed here, and encryption, whose salts are new each time).',
    'The world, users, keys and files of an overlay are the machine’s own after the boot; `lbu commit` there writes what this command reads, and reads what it writes.',
  ],
  examples: [
    {
      about: 'a machine with an SSH server and a key',
      command:
        'diskless overlay new box.apkovl.tar.gz --hostname box --world openssh --service sshd --ssh-key ~/.ssh/id_ed25519.pub',
    },
    {
      about: 'another package in what lbu wrote, and what that changed',
      command:
        'diskless overlay edit box.apkovl.tar.gz --world htop --out new.apkovl.tar.gz; diskless overlay diff box.apkovl.tar.gz new.apkovl.tar.gz',
    },
    {
      about: 'edit it as files, with an editor, and pack it again',
      command:
        'diskless overlay unpack box.apkovl.tar.gz box; vi box/etc/motd; diskless overlay pack box box.apkovl.tar.gz --force',
    },
    {
      about: 'encrypted, and signed for an initrd that asks for that',
      command:
        'diskless overlay new box.apkovl.tar.gz.aes-256-cbc --world openssh --passphrase-file secret --sign overlay.rsa',
    },
  ],
  run({ values, positionals }, output) {
    const { action, words } = chooseAction(positionals, Object.keys(values))
    const [first, second] = words
    const request = requestOf(values)
    switch (action) {
      case 'new':
        return makeOverlay(first, request, output)
      case 'edit':
        return editOverlay(first, request, output)
      case 'diff':
        return diffOverlays(first, second, request, output)
      case 'pack':
        return packOverlay(first, second, request, output)
      case 'unpack':
        return unpackOverlay(first, second, request, output)
    }
  },
})

interface Request {
  readonly values: Values<typeof overlayOptions>
  readonly passphrase: Passphrase
  readonly keyDerivation: Derivation | undefined
  readonly key: SigningKey | undefined
}

function requestOf(values: Values<typeof overlayOptions>): Request {
  const derivation = values['key-derivation']
  const known = overlayOptions['key-derivation'].complete
  const keyDerivation = known.find((each) => each === derivation)
  if (derivation !== undefined && keyDerivation === undefined) {
    throw new UsageError(`--key-derivation ${derivation}: it is one of ${known.join(', ')}`)
  }
  return {
    values,
    passphrase: new Passphrase(values['passphrase-file']),
    keyDerivation,
    key: values.sign === undefined ? undefined : readSigningKey(values.sign),
  }
}

async function makeOverlay(out: string, request: Request, output: Output): Promise<number> {
  const wishes = parseWishes(request.values)
  checkNewOutput(out, request)
  const mtime = timeOfChange()
  const contents = emptyOverlay(request.values['no-default-services'] !== true, mtime, out)
  applyWishes(contents, wishes, mtime, out)
  return save(out, contents, request, output, notesOn(contents, wishes))
}

async function editOverlay(path: string, request: Request, output: Output): Promise<number> {
  const wishes = parseWishes(request.values)
  const out = request.values.out ?? path
  checkOutput(out)
  refuseStaleSignature(out, request.key)
  const { contents, keyDerivation } = await readOverlayFile(path, request.passphrase)
  if (Object.keys(request.values).length === 0) {
    throw new UsageError(
      `what is to be changed in ${path}?`,
      'For example: --world htop, --remove etc/motd',
      "'diskless overlay --help' lists what can be.",
    )
  }
  const before = new Map(contents)
  applyWishes(contents, wishes, timeOfChange(), path)
  if (out === path && request.key === undefined && isSame(compareOverlays(before, contents))) {
    output.result({ out, written: false }, () => `${out}: all that is so already\n`)
    return 0
  }
  const notes = notesOn(contents, wishes)
  return save(
    out,
    contents,
    { ...request, keyDerivation: request.keyDerivation ?? keyDerivation },
    output,
    notes,
  )
}

async function diffOverlays(a: string, b: string, { passphrase }: Request, output: Output): Promise<number> {
  const before = await readOverlayFile(a, passphrase)
  const after = await readOverlayFile(b, passphrase)
  const differences = compareOverlays(before.contents, after.contents)
  output.result(differences, () => describeDifferences(differences, output))
  return isSame(differences) ? 0 : 1
}

async function packOverlay(
  directory: string,
  out: string,
  request: Request,
  output: Output,
): Promise<number> {
  checkNewOutput(out, request)
  const contents = packFrom(directory, request.values.owners)
  return save(out, contents, request, output)
}

async function unpackOverlay(
  path: string,
  directory: string,
  request: Request,
  output: Output,
): Promise<number> {
  const { contents } = await readOverlayFile(path, request.passphrase)
  const unmade = unpackTo(directory, contents, path)
  for (const each of unmade)
    output.tell(`/${each} is in the manifest only: a directory of yours cannot hold it`)
  output.result({ directory, entries: contents.size, manifestOnly: unmade }, () => {
    return `${directory}: ${countEntries(contents)}; owners are in ${directory}/.diskless-owners\n`
  })
  return 0
}

function checkNewOutput(out: string, { values, key }: Request): void {
  checkOutput(out)
  if (existsSync(out) && values.force !== true) {
    throw new CommandError(`${out} is there already`, {
      advice: ['--force writes another in its place; diskless overlay edit changes this one.'],
    })
  }
  refuseStaleSignature(out, key)
}

async function save(
  out: string,
  contents: Contents,
  { passphrase, keyDerivation = 'sha256', key }: Request,
  output: Output,
  notes: readonly string[] = [],
): Promise<number> {
  const { bytes, signature } = await writeOverlayFile(out, contents, { passphrase, keyDerivation, key })
  for (const note of notes) output.tell(`Note: ${note}`)
  output.result({ out, written: true, bytes, entries: contents.size, signature, notes }, () => {
    const signed = key === undefined ? '' : `; signed with ${key.name.replace(/\.pub$/, '')}`
    return `${out}: ${countEntries(contents)}, ${(bytes / 1e3).toFixed(1)} kB${signed}\n`
  })
  return 0
}
