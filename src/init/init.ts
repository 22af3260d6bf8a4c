/** What esbuild bundles: init on the real machine. */
import './polyfill.ts'
import { hostSys } from './host.ts'
import { run } from './run.ts'

await run(hostSys())
