/** Chooses kernel modules, follows what they need, and writes depmod's tables for exactly these. */

import { basename } from 'node:path'
import { closest } from '../src/boot/closest.ts'
import { type Catalog, type Module, moduleName } from './catalog.ts'
import { readerOf, readModinfo } from './elf.ts'
import { CommandError } from './error.ts'
import { always, type Group, type GroupName, groups, isAlways, isGroup, requested } from './groups.ts'

export interface Selection {
  /** By path. */
  readonly modules: readonly Module[]
  /** Which request first brought a module in: a group's name, or the module's own. */
  readonly reason: ReadonlyMap<Module, string>
  /** Names in groups that this kernel neither has nor has built in. */
  readonly absent: readonly string[]
}

/**
 * `requests`: names of groups or of modules. What is always in an initrd comes first. `machine`: the drivers of one machine's
 * devices (machine.ts).
 */
export function selectModules(
  catalog: Catalog,
  requests: readonly string[],
  machine: readonly Module[] = [],
): Selection {
  const reason = new Map<Module, string>()
  const absent = new Set<string>()
  for (const request of new Set([...always, ...requests])) {
    const roots = isGroup(request) ? membersOf(catalog, request, absent) : named(catalog, request)
    if (isGroup(request) && !isAlways(request)) refuseEmpty(catalog, request, roots)
    for (const module of roots) include(catalog, module, request, reason)
  }
  for (const module of machine) include(catalog, module, 'this machine', reason)
  const modules = [...reason.keys()].sort((a, b) => (a.path < b.path ? -1 : 1))
  return { modules, reason, absent: [...absent] }
}

function membersOf(catalog: Catalog, name: keyof typeof groups, absent: Set<string>): Module[] {
  const group: { names?: readonly string[]; where?: (module: Module) => boolean } = groups[name]
  const byName = (group.names ?? []).flatMap((member) => {
    const found = catalog.resolve(member)
    if (found.length === 0 && !catalog.builtin.has(moduleName(member))) absent.add(member)
    return found
  })
  const byRule = group.where === undefined ? [] : [...catalog.modules.values()].filter(group.where)
  return [...byName, ...byRule]
}

/** A group of which the kernel has nothing was asked for in vain: it is the wrong kernel. */
function refuseEmpty(catalog: Catalog, name: GroupName, roots: readonly Module[]): void {
  const { about, names = [] }: Group = groups[name]
  if (roots.length > 0 || names.some((member) => catalog.builtin.has(moduleName(member)))) return
  throw new CommandError(
    `the group ${name} matches nothing in Linux ${basename(catalog.directory)}: ${about}`,
    {
      advice: [
        `This kernel has no such drivers. Leave ${name} out of --modules, or take a kernel for more machines (linux-lts, linux-image-amd64).`,
      ],
    },
  )
}

function named(catalog: Catalog, request: string): readonly Module[] {
  const found = catalog.resolve(request)
  if (found.length > 0 || catalog.builtin.has(moduleName(request))) return found
  const near = closest(request, [...Object.keys(groups), ...catalog.modules.keys()])
  throw new CommandError(`this kernel has no module, and diskless no group, called '${request}'`, {
    advice: [
      ...(near === undefined ? [] : [`Did you mean '${near}'?`]),
      `Groups: ${Object.keys(groups).join(', ')}.`,
    ],
  })
}

function include(catalog: Catalog, module: Module, request: string, reason: Map<Module, string>): void {
  if (reason.has(module)) return
  reason.set(module, request)
  for (const name of module.depends) {
    const found = catalog.resolve(name)
    if (found.length === 0 && !catalog.builtin.has(name)) {
      throw new CommandError(
        `the module ${module.name} needs ${name}, which ${catalog.directory} does not have`,
        {
          advice: ['The modules directory is incomplete: unpack the kernel package again.'],
        },
      )
    }
    for (const needed of found) include(catalog, needed, request, reason)
  }
  // Soft dependencies and what the kernel will ask for: taken if there.
  for (const name of [...module.before, ...module.after, ...(requested[module.name] ?? [])]) {
    for (const wanted of catalog.resolve(name)) include(catalog, wanted, request, reason)
  }
}

/** Modules of another build load into no kernel: the machine would be without a single driver. */
export function checkModules(catalog: Catalog, { modules }: Selection, version: string): void {
  const [first] = modules
  if (first === undefined) return
  const magic = readModinfo(readerOf(catalog.read(first))).find(([key]) => key === 'vermagic')?.[1]
  const built = magic?.split(' ')[0]
  if (built === undefined || built === version) return
  throw new CommandError(
    `the modules in ${catalog.directory} are of Linux ${built}, and the kernel is ${version}`,
    {
      advice: ['Kernel and modules must come from the same build: unpack the kernel package again.'],
    },
  )
}

/** The text tables of modules.dep(5) and depmod(8), of the chosen modules only; by file name. */
export function writeTables(catalog: Catalog, modules: readonly Module[]): ReadonlyMap<string, string> {
  const lines = (rows: readonly string[]) => rows.map((row) => `${row}\n`).join('')
  const soft = modules.flatMap(({ name, before, after }) => {
    const parts = [
      ...(before.length > 0 ? ['pre:', ...before] : []),
      ...(after.length > 0 ? ['post:', ...after] : []),
    ]
    return parts.length === 0 ? [] : [`softdep ${name} ${parts.join(' ')}`]
  })
  return new Map([
    ['modules.dep', lines(modules.map((module) => dependencyLine(catalog, module)))],
    [
      'modules.alias',
      lines(modules.flatMap(({ name, aliases }) => aliases.map((alias) => `alias ${alias} ${name}`))),
    ],
    ['modules.softdep', lines(soft)],
    ['modules.builtin', catalog.builtinText],
  ])
}

/** `module: dependencies`, nearest first: they are loaded from the last to the first. */
function dependencyLine(catalog: Catalog, module: Module): string {
  const order = new Map<Module, 'open' | 'done'>()
  const visit = (at: Module): void => {
    if (order.get(at) === 'open') {
      throw new CommandError(
        `the modules ${at.name} and ${module.name} need each other: the kernel's files are damaged`,
      )
    }
    if (order.has(at)) return
    order.set(at, 'open')
    for (const name of at.depends) for (const needed of catalog.resolve(name)) visit(needed)
    // Set anew, so that the map's order is the order in which they were done.
    order.delete(at)
    order.set(at, 'done')
  }
  visit(module)
  const first = [...order.keys()].filter((needed) => needed !== module).reverse()
  return `${module.path}:${first.map((needed) => ` ${needed.path}`).join('')}`
}
