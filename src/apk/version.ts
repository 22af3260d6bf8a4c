/**
 * Package versions, in the order of apk-tools 2.14: `{digit}{.digit}…{letter}{_suffix{number}}…{-r#}`, Gentoo's
 * grammar with apk's own treatment of leading zeros and of what is not a version at all.
 */

const INVALID = -1
const DIGIT_OR_ZERO = 0
const DIGIT = 1
const LETTER = 2
const SUFFIX = 3
const SUFFIX_NUMBER = 4
const REVISION = 5
const END = 6

const PRE_SUFFIXES = ['alpha', 'beta', 'pre', 'rc']
const POST_SUFFIXES = ['cvs', 'svn', 'git', 'hg', 'p']

/** apk refuses a number of more digits than fit 64 bits. */
const MOST_DIGITS = 17
/** Up to so many digits a double is exact. */
const EXACT_DIGITS = 15

/** Walks a version's tokens. `type` is what stands at `at`. */
interface Reader {
  readonly text: string
  at: number
  type: number
}

function isDigit(code: number): boolean {
  return code >= 48 && code <= 57
}

function isLower(code: number): boolean {
  return code >= 97 && code <= 122
}

function classify(reader: Reader): void {
  const { text, at, type } = reader
  const code = text.charCodeAt(at)
  let next = INVALID
  if (at >= text.length) next = END
  else if ((type === DIGIT || type === DIGIT_OR_ZERO) && isLower(code)) next = LETTER
  else if (type === LETTER && isDigit(code)) next = DIGIT
  else if (type === SUFFIX && isDigit(code)) next = SUFFIX_NUMBER
  else {
    if (code === 46 /* . */) next = DIGIT_OR_ZERO
    else if (code === 95 /* _ */) next = SUFFIX
    else if (code === 45 /* - */ && text.charCodeAt(at + 1) === 114 /* r */) {
      next = REVISION
      reader.at++
    }
    reader.at++
  }
  const back =
    (next === DIGIT_OR_ZERO && type === DIGIT) ||
    (next === SUFFIX && type === SUFFIX_NUMBER) ||
    (next === DIGIT && type === LETTER)
  reader.type = next < type && !back ? INVALID : next
}

function refuse(reader: Reader): number {
  reader.type = INVALID
  return -1
}

/** The value of the token at the reader, which moves on to the next one. */
function take(reader: Reader): number | bigint {
  const { text, at } = reader
  if (at >= text.length) {
    reader.type = END
    return 0
  }
  let value: number | bigint = 0
  let end = at
  if (reader.type === DIGIT_OR_ZERO && text.charCodeAt(at) === 48) {
    // Each zero before the last one counts down: 1.01 is newer than 1.001.
    while (text.charCodeAt(end + 1) === 48) end++
    reader.at = end
    reader.type = DIGIT
    return at - end
  }
  switch (reader.type) {
    case DIGIT_OR_ZERO:
    case DIGIT:
    case SUFFIX_NUMBER:
    case REVISION: {
      while (isDigit(text.charCodeAt(end))) end++
      const digits = end - at
      if (digits > MOST_DIGITS) return refuse(reader)
      if (digits > EXACT_DIGITS) value = BigInt(text.slice(at, end))
      else value = Number(text.slice(at, end))
      break
    }
    case LETTER:
      value = text.charCodeAt(at)
      end++
      break
    case SUFFIX: {
      let index = PRE_SUFFIXES.findIndex((suffix) => text.startsWith(suffix, at))
      const suffixes = index < 0 ? POST_SUFFIXES : PRE_SUFFIXES
      if (index < 0) index = POST_SUFFIXES.findIndex((suffix) => text.startsWith(suffix, at))
      const suffix = suffixes[index]
      if (suffix === undefined) return refuse(reader)
      value = suffixes === PRE_SUFFIXES ? index - PRE_SUFFIXES.length : index
      end += suffix.length
      break
    }
    default:
      return refuse(reader)
  }
  reader.at = end
  if (end >= text.length) reader.type = END
  else classify(reader)
  return value
}

/** Whether apk takes this text for a version. */
export function isVersion(text: string): boolean {
  const reader: Reader = { text, at: 0, type: DIGIT }
  while (reader.type !== END && reader.type !== INVALID) take(reader)
  return reader.type === END
}

/**
 * Negative, zero or positive as `a` is older than, the same as or newer than `b`.
 *
 * `fuzzy`: equal as well when one ends where the other goes on, as `~` asks.
 */
export function compareVersions(a: string, b: string, fuzzy = false): number {
  if (a === b) return 0
  const left: Reader = { text: a, at: 0, type: DIGIT }
  const right: Reader = { text: b, at: 0, type: DIGIT }
  while (left.type === right.type && left.type !== END && left.type !== INVALID) {
    const leftValue = take(left)
    const rightValue = take(right)
    if (leftValue < rightValue) return -1
    if (leftValue > rightValue) return 1
  }
  if (left.type === right.type || fuzzy) return 0

  // The longer one is the newer one, but for a suffix that says pre-release.
  const leftType = left.type
  const rightType = right.type
  if (leftType === SUFFIX && take(left) < 0) return -1
  if (rightType === SUFFIX && take(right) < 0) return 1
  return leftType > rightType ? -1 : 1
}
