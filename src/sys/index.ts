/** The door to the machine: types only, but for the error classes. */
export * from './error.ts'
export * from './network.ts'
export * from './pipeline.ts'
export type * from './sys.ts'
