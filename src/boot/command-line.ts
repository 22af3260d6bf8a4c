/**
 * The kernel command line as words, quoted by the kernel's own rule: lib/cmdline.c, next_arg().
 *
 * A double quote switches "spaces belong to the word" on and off; quotes around a whole value (`a="b c"`) or a
 * whole word (`"a=b c"`) are removed, others stay. There is no escape character. `--` ends what is the kernel's;
 * the words after it are init's arguments.
 */

export interface Word {
  readonly name: string
  /** Absent: there was no `=`. */
  readonly value: string | undefined
}

export interface CommandLine {
  readonly text: string
  readonly words: readonly Word[]
  /** What followed `--`. */
  readonly initArguments: readonly string[]
}

export function parseCommandLine(text: string): CommandLine {
  const raw = splitWords(text.trim())
  const end = raw.indexOf('--')
  return {
    text: text.trim(),
    words: (end === -1 ? raw : raw.slice(0, end)).map(parseWord),
    initArguments: end === -1 ? [] : raw.slice(end + 1),
  }
}

function splitWords(text: string): string[] {
  const words: string[] = []
  let word = ''
  let quoted = false
  for (const character of text) {
    if (character === '"') quoted = !quoted
    if (/\s/.test(character) && !quoted) {
      if (word !== '') words.push(word)
      word = ''
    } else {
      word += character
    }
  }
  if (word !== '') words.push(word)
  return words
}

function parseWord(raw: string): Word {
  const whole = raw.startsWith('"')
  let word = whole ? raw.slice(1) : raw
  if (whole && word.endsWith('"')) word = word.slice(0, -1)
  const equals = word.indexOf('=')
  if (equals === -1) return { name: word, value: undefined }
  let value = word.slice(equals + 1)
  if (value.startsWith('"')) {
    value = value.slice(1)
    if (value.endsWith('"')) value = value.slice(0, -1)
  }
  return { name: word.slice(0, equals), value }
}
