/** The manual page diskless(1), of the commands' descriptions, in the macros of man(7). */

import { exitStatuses } from '../../src/cli/command.ts'
import type { Known } from '../../src/cli/completion/known.ts'
import { optionForm, optionMeaning } from '../../src/cli/help.ts'
import { sharedOptions } from '../../src/cli/options.ts'

export function manualPage(known: readonly Known[], version: string): string {
  const lines = [
    `.\\" Written by scripts/docs.ts from the commands' descriptions: change those.`,
    `.TH DISKLESS 1 "" "diskless ${version}" "User Commands"`,
    '.SH NAME',
    'diskless \\- boots Linux machines that have no disk',
    '.SH SYNOPSIS',
    '.B diskless',
    '.I COMMAND',
    '[OPTIONS]',
    '.SH DESCRIPTION',
    ...paragraph(
      'Makes what machines without a disk boot, and the files of the servers that they boot from; explains, draws and watches boots. Every command takes these options:',
    ),
    ...optionParagraphs(sharedOptions),
    '.SH COMMANDS',
    ...known.flatMap(commandSection),
    '.SH EXIT STATUS',
    ...Object.entries(exitStatuses).flatMap(([status, meaning]) => ['.TP', `.B ${status}`, plain(meaning)]),
    '.SH ENVIRONMENT',
    ...['.TP', '.B NO_COLOR', 'No colours, even on a terminal.'],
    ...['.TP', '.B DISKLESS_DEBUG', 'An error shows where in the code it arose, too.'],
    ...[
      '.TP',
      '.B SOURCE_DATE_EPOCH',
      'Seconds since 1970: the date in what is made, so that it can be made again.',
    ],
    ...['.TP', '.B XDG_CACHE_HOME', 'Below it, in diskless, unpacked kernels are kept.'],
  ]
  return `${lines.join('\n')}\n`
}

function commandSection({ name, about, description }: Known): string[] {
  const { forms, options, notes = [], examples } = description
  return [
    `.SS diskless ${name}`,
    ...paragraph(`${about.charAt(0).toUpperCase()}${about.slice(1)}.`),
    ...forms.flatMap((form) => ['.PP', `.B diskless ${name}`, plain(form)]),
    ...optionParagraphs(options),
    ...notes.flatMap((note) => ['.PP', ...paragraph(note)]),
    ...examples.flatMap((example) => [
      '.PP',
      `Example: ${plain(example.about)}`,
      '.PP',
      '.nf',
      `.RS 4`,
      plain(example.command),
      '.RE',
      '.fi',
    ]),
  ]
}

function optionParagraphs(options: Readonly<Record<string, Parameters<typeof optionForm>[1]>>): string[] {
  return Object.entries(options).flatMap(([option, facts]) => [
    '.TP',
    `.B ${plain(optionForm(option, facts))}`,
    ...optionMeaning(facts)
      .split('\n')
      .flatMap((line, index) => [...(index === 0 ? [] : ['.br']), ...paragraph(line.trim())]),
  ])
}

function paragraph(text: string): string[] {
  return text.split('\n').map(plain)
}

/** A line that begins with a dot or a quote would be a request; a hyphen is to be typed as it is. */
function plain(text: string): string {
  return text.replaceAll('\\', '\\e').replaceAll('-', '\\-').replaceAll("'", '\\(aq').replace(/^\./, '\\&.')
}
