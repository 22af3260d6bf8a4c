/** Which name is decided first, and which of its providers is the best. */

import type { Name, Provider } from './graph.ts'
import { compareVersions } from './version.ts'

/** More than the longest chain of dependencies. */
const DEEPEST = 1 << 20

/**
 * The lower, the sooner it is decided: first what the world names, then names that are packages before those that are
 * only provided, then what has the longest way down. Even, as what is required goes before what is not.
 */
export function rankOf(name: Name, asked: boolean): number {
  const kind = (asked ? 0 : 3) + name.virtuality
  return (kind * DEEPEST - name.state.depth) * 2
}

/** The provider that apk would pick; undefined: none, as nothing asks for one that it could pick by itself. */
export function bestProvider(name: Name): Provider | undefined {
  const { requirers, hasInstallIf } = name.state
  if (requirers === 0 && !hasInstallIf) return undefined
  let best: Provider | undefined
  for (const provider of name.providers) {
    const { state, providerPriority, name: own } = provider.package
    if (requirers === 0 && !(state.installIfTriggered && state.tagOk)) continue
    // Several packages provide a name without a version: none is the natural one, so none is picked by it.
    if (provider.version === undefined && own.state.requirers === 0 && providerPriority === 0) continue
    if (best === undefined || compareProviders(provider, best) > 0) best = provider
  }
  return best
}

function compareOptionalVersions(a: string | undefined, b: string | undefined): number {
  return a === undefined || b === undefined ? 0 : compareVersions(a, b)
}

/** Positive when `a` is the better choice. */
function compareProviders(a: Provider, b: Provider): number {
  const [left, right] = [a.package.state, b.package.state]
  return (
    Number(left.selectable) - Number(right.selectable) ||
    Number(left.dependsUsed) - Number(right.dependsUsed) ||
    right.conflicts - left.conflicts ||
    Number(left.tagOk) - Number(right.tagOk) ||
    Number(left.tagPreferred) - Number(right.tagPreferred) ||
    compareOptionalVersions(a.version, b.version) ||
    (a.package.name === b.package.name ? compareVersions(a.package.version, b.package.version) : 0) ||
    a.package.providerPriority - b.package.providerPriority ||
    lowestBit(b.package.repositories) - lowestBit(a.package.repositories)
  )
}

function lowestBit(bits: number): number {
  return 31 - Math.clz32(bits & -bits)
}
