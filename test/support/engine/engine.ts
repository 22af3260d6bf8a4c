/** QuickJS-NG as wasm, with the global `host` that the native host gives it, and nothing else that the language lacks. */

import { createRequire } from 'node:module'
import {
  newQuickJSWASMModuleFromVariant,
  type QuickJSContext,
  type QuickJSHandle,
  type QuickJSSyncVariant,
} from 'quickjs-emscripten-core'
import type { Sys } from '../../../src/sys/index.ts'
import { HostServer } from './serve.ts'

export interface Engine {
  /** Rejects with what init gave to `host.fatal`, and with what the engine could not run. */
  readonly failed: Promise<never>
  /** Lines of `host.log`. */
  readonly log: readonly string[]
  /** Operations that were called. */
  readonly called: ReadonlySet<string>
  /** The value of an expression, as JSON knows it. */
  evaluate(expression: string): unknown
}

/** Its type declarations take it for CommonJS, so it is loaded as that. */
const { default: variant }: { default: QuickJSSyncVariant } = createRequire(import.meta.url)(
  '@jitl/quickjs-ng-wasmfile-release-sync',
)

/** Milliseconds that JavaScript may run without a pause. */
const turnMs = 3000

/** Starts a module on this machine, as the host starts init's. */
export async function startEngine(source: string, sys: Sys): Promise<Engine> {
  // A wasm module of its own: init never ends, so nothing in it could be taken down one by one.
  const runtime = (await newQuickJSWASMModuleFromVariant(variant)).newRuntime()
  runtime.setMaxStackSize(512 * 1024)
  const context = runtime.newContext()
  const log: string[] = []
  let fail: (error: Error) => void = () => {}
  const failed = new Promise<never>((_, reject) => {
    fail = reject
  })
  failed.catch(() => undefined)

  const host = context.newObject()
  // As the host does it, only sooner: what does not let go of the engine is ended.
  let turn = Date.now()
  runtime.setInterruptHandler(() => Date.now() - turn > turnMs)
  const jobs = () => {
    turn = Date.now()
    const result = runtime.executePendingJobs()
    if (result.error) fail(errorFrom(context, result.error))
    result.dispose()
  }
  const tell = (name: 'onAnswer' | 'onEvent', ...values: readonly (number | boolean | string)[]) => {
    const handles = values.map((value) => toHandle(context, value))
    const result = context.getProp(host, name).consume((listener) => {
      return context.callFunction(listener, host, ...handles)
    })
    if (result.error) fail(errorFrom(context, result.error))
    result.dispose()
    for (const handle of handles) handle.dispose()
    jobs()
  }
  const server = new HostServer(sys, {
    onAnswer: (id, ok, json) => tell('onAnswer', id, ok, json),
    onEvent: (id, json) => tell('onEvent', id, json),
  })

  const define = (name: string, act: (...values: QuickJSHandle[]) => number | undefined) => {
    context
      .newFunction(name, (...values) => {
        const value = act(...values)
        return value === undefined ? context.undefined : context.newNumber(value)
      })
      .consume((made) => context.setProp(host, name, made))
  }
  define('call', (id, operation, args) => {
    server.call(context.getNumber(id), context.getString(operation), context.getString(args))
    return undefined
  })
  define('cancel', (id) => {
    server.cancel(context.getNumber(id))
    return undefined
  })
  define('now', () => sys.clock.now())
  define('wall', () => sys.clock.wall())
  define('random', () => sys.clock.random())
  define('fatal', (text) => {
    fail(new Error(context.getString(text)))
    return undefined
  })
  define('log', (text) => {
    log.push(context.getString(text))
    return undefined
  })
  context.newNumber(sys.clock.started).consume((started) => context.setProp(host, 'started', started))
  context.setProp(context.global, 'host', host)

  const result = context.evalCode(source, 'init.js', { type: 'module' })
  if (result.error) fail(errorFrom(context, result.error))
  else watchPromise(context, result.value, fail)
  jobs()
  return {
    failed,
    log,
    called: server.called,
    evaluate: (expression) => context.dump(context.unwrapResult(context.evalCode(expression))),
  }
}

/** A module that awaits at its top evaluates to a promise: its rejection is init's failure. */
function watchPromise(context: QuickJSContext, value: QuickJSHandle, fail: (error: Error) => void): void {
  context.resolvePromise(value).then((settled) => {
    if (settled.error) fail(errorFrom(context, settled.error))
  }, fail)
}

function toHandle(context: QuickJSContext, value: number | boolean | string): QuickJSHandle {
  if (typeof value === 'number') return context.newNumber(value)
  if (typeof value === 'string') return context.newString(value)
  return value ? context.true : context.false
}

function errorFrom(context: QuickJSContext, handle: QuickJSHandle): Error {
  const { name, message, stack }: { name?: string; message?: string; stack?: string } = context.dump(handle)
  return new Error(`${name}: ${message}\n${stack}`)
}
