/**
 * The machine's two serial lines, and what the kernel's command line says of them: ttyS0 is this terminal, ttyS1 is the
 * second one (--console). The kernel writes on the first that is named, and on that alone
 * (Documentation/admin-guide/serial-console.rst); init, its shells and the logins are on each.
 */

/** The words, and console= for the lines that there are. The last console= stays the one that the system's own init has. */
export function withLines(words: readonly string[], second: boolean): readonly string[] {
  const named = names(words, 'ttyS0') || names(words, 'ttyS1')
  const all = named ? words : [...words, 'console=ttyS0']
  if (!second || names(all, 'ttyS1')) return all
  return [...all, 'console=ttyS1', ...all.filter((word) => word.startsWith('console=')).slice(-1)]
}

/** What the person at this terminal will miss, and what helps. */
export function darkLines(words: readonly string[], second: boolean): string[] {
  const remarks: string[] = []
  if (!names(words, 'ttyS0')) {
    remarks.push(
      names(words, 'ttyS1') && !second
        ? 'The command line says console=ttyS1, and this terminal is ttyS0: --console FILE shows that line.'
        : 'The command line has no console=ttyS0: the kernel and init say nothing here. diskless build and publish put it in with --append; --direct adds it.',
    )
  }
  if (second && !names(words, 'ttyS1')) {
    remarks.push(
      'The command line has no console=ttyS1: the second line shows only what the system itself puts there, a login for one. diskless build and publish put it in with --append; --direct adds it.',
    )
  }
  return remarks
}

function names(words: readonly string[], line: string): boolean {
  return words.some((word) => word === `console=${line}` || word.startsWith(`console=${line},`))
}
