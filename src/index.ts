/** What others import from 'diskless': hooks, and the types of a boot. */

export * from './init/hook.ts'
