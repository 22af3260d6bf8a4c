/** Numbers as a person reads them on a console. */

/** `0.31 s`, `12.4 s`, `3 min 05 s`, `90 days`, from milliseconds. */
export function showDuration(milliseconds: number): string {
  const seconds = milliseconds / 1000
  if (seconds < 10) return `${seconds.toFixed(2)} s`
  if (seconds < 100) return `${seconds.toFixed(1)} s`
  if (seconds > 2 * 86_400) return `${Math.round(seconds / 86_400)} days`
  return `${Math.floor(seconds / 60)} min ${String(Math.floor(seconds % 60)).padStart(2, '0')} s`
}

/** `712 B`, `25.1 MB`: powers of 1000. */
export function showBytes(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB']
  let value = bytes
  let unit = 0
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1000
    unit++
  }
  return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`
}

export function showCount(number: number, singular: string, plural = `${singular}s`): string {
  return `${number} ${number === 1 ? singular : plural}`
}
