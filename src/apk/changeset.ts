/** The order in which apk installs what its solver chose: what a package depends on first, what it triggers after it. */

import type { Name, Package, Requirement, WorldEntry } from './graph.ts'
import { chosenPackage, isFulfilled } from './graph.ts'
import type { Solver } from './solver.ts'

export function installOrder(solver: Solver, world: readonly WorldEntry[]): Package[] {
  const order: Package[] = []

  const addTriggered = (trigger: Name): void => {
    for (const name of trigger.rinstallIf) {
      const pkg = chosenPackage(name.state)
      if (pkg === undefined || !name.state.seen || name.state.inChangeset) continue
      const fulfilled = pkg.installIf.every(
        ({ name: other, dependency }) =>
          other.state.inChangeset && isFulfilled(dependency, other.state.chosen),
      )
      if (fulfilled) addName(name)
    }
  }

  const addName = (name: Name): void => {
    if (name.state.inChangeset) return
    name.state.inChangeset = true
    const pkg = chosenPackage(name.state)
    if (pkg === undefined || pkg.state.inChangeset) return
    pkg.state.inChangeset = true
    pkg.name.state.inChangeset = true
    for (const provided of pkg.provides) provided.name.state.inChangeset = true
    for (const requirement of pkg.depends) addRequirement(pkg, requirement)
    order.push(pkg)
    addTriggered(pkg.name)
    for (const provided of pkg.provides) addTriggered(provided.name)
  }

  const addRequirement = (parent: Package | undefined, { name, dependency }: Requirement): void => {
    const pkg = chosenPackage(name.state)
    if (!isFulfilled(dependency, name.state.chosen)) solver.fail(parent, `${name.text} cannot be had`)
    addName(name)
    if (pkg?.state.error !== undefined) solver.fail(parent, `${pkg.name.text} cannot be had`)
  }

  for (const entry of world) addRequirement(undefined, entry)
  return order
}
