/** What others import from 'diskless': the types of a boot. */

export type { BootPlan } from './boot/plan.ts'
export type { Sys } from './sys/index.ts'
