/** The hooks of this init: none. In the bundle of `diskless build --hook`, a list of them takes this module's place. */
import type { InstalledHook } from './hooks.ts'

export const hooks: readonly InstalledHook[] = []
