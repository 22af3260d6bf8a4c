/** What esbuild bundles: init on the real machine. */
import { hostSys } from './host.ts'
import { hooks } from './installed-hooks.ts'
import { polyfill } from './polyfill.ts'
import { run } from './run.ts'
import type { Host } from './wire.ts'

declare const host: Host

polyfill(globalThis, (text) => host.log(text))
await run(hostSys(host), hooks)
