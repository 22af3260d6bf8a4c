import { describe, expect, it } from 'vitest'
import { polyfills } from '../../../src/init/polyfill.ts'
import { type Host, Wire } from '../../../src/init/wire.ts'
import { SysError } from '../../../src/sys/index.ts'

/** A host that notes what it is asked and answers when the test says so. */
function scriptedHost() {
  const calls: { id: number; op: string; args: unknown }[] = []
  const cancelled: number[] = []
  const host: Host = {
    call: (id, op, args) => void calls.push({ id, op, args: JSON.parse(args) }),
    cancel: (id) => void cancelled.push(id),
    started: 0,
    now: () => 0,
    wall: () => 0,
    random: () => 0,
    fatal: () => {},
    log: () => {},
  }
  const wire = new Wire(host)
  return {
    wire,
    calls,
    cancelled,
    answer: (id: number, value: unknown) => host.onAnswer?.(id, true, JSON.stringify(value)),
    fail: (id: number, code: string) =>
      host.onAnswer?.(id, false, JSON.stringify({ code, operation: 'x.y', subject: 's', message: 'm' })),
    event: (id: number, value: unknown) => host.onEvent?.(id, JSON.stringify(value)),
  }
}

describe('a call', () => {
  it('sends its arguments and resolves with the answer that has its number', async () => {
    const { wire, calls, answer } = scriptedHost()
    const first = wire.call<string>('files.readText', { path: '/a' })
    const second = wire.call<string>('files.readText', { path: '/b' })
    answer(2, 'of b')
    answer(1, 'of a')
    expect(await Promise.all([first, second])).toEqual(['of a', 'of b'])
    expect(calls[1]).toEqual({ id: 2, op: 'files.readText', args: { path: '/b' } })
  })

  it('rejects with a SysError', async () => {
    const { wire, fail } = scriptedHost()
    const call = wire.call('x.y', {})
    fail(1, 'ENOENT')
    await expect(call).rejects.toThrow(SysError)
    await expect(call).rejects.toMatchObject({ code: 'ENOENT', message: 's: m' })
  })

  it('is given up at once when its signal fires, and the host is told', async () => {
    const { wire, cancelled, answer } = scriptedHost()
    const controller = new AbortController()
    const call = wire.call('clock.sleep', {}, { signal: controller.signal })
    controller.abort()
    await expect(call).rejects.toMatchObject({ code: 'ABORTED' })
    expect(cancelled).toEqual([1])
    answer(1, null)
  })

  it('waits for the host to stop where that is asked', async () => {
    const { wire, cancelled, fail } = scriptedHost()
    const controller = new AbortController()
    let settled = false
    const call = wire.call('pipelines.run', {}, { signal: controller.signal, abort: 'when stopped' })
    const watched = call.catch(() => {
      settled = true
    })
    controller.abort()
    await Promise.resolve()
    expect([cancelled, settled]).toEqual([[1], false])
    fail(1, 'ABORTED')
    await watched
    expect(settled).toBe(true)
  })

  it('never starts under a signal that has fired', async () => {
    const { wire, calls } = scriptedHost()
    await expect(wire.call('x.y', {}, { signal: AbortSignal.abort() })).rejects.toMatchObject({
      code: 'ABORTED',
    })
    expect(calls).toEqual([])
  })
})

describe('a stream', () => {
  it('gives the events in order, those before next() too, and ends with its signal', async () => {
    const { wire, event, cancelled } = scriptedHost()
    const controller = new AbortController()
    const stream = wire.stream('devices.watch', {}, controller.signal, (n: number) => n * 10)
    event(1, 1)
    event(1, 2)
    expect(await stream.next()).toEqual({ done: false, value: 10 })
    expect(await stream.next()).toEqual({ done: false, value: 20 })
    const third = stream.next()
    controller.abort()
    expect(await third).toEqual({ done: true, value: undefined })
    expect(cancelled).toEqual([1])
  })

  it('rejects once when the host fails it', async () => {
    const { wire, fail } = scriptedHost()
    const stream = wire.stream('devices.watch', {}, new AbortController().signal, (n: number) => n)
    const next = stream.next()
    fail(1, 'ENOBUFS')
    await expect(next).rejects.toMatchObject({ code: 'ENOBUFS' })
    expect(await stream.next()).toEqual({ done: true, value: undefined })
  })

  it('is cancelled when its loop is left', async () => {
    const { wire, event, cancelled } = scriptedHost()
    const stream = wire.stream('devices.watch', {}, new AbortController().signal, (n: number) => n)
    event(1, 7)
    for await (const value of stream) {
      expect(value).toBe(7)
      break
    }
    expect(cancelled).toEqual([1])
  })
})

describe('our AbortSignal', () => {
  const { AbortController: Controller, AbortSignal: Signal } = polyfills

  it('fires its listeners once, with a reason', () => {
    const controller = new Controller()
    let count = 0
    controller.signal.addEventListener('abort', () => {
      count += 1
    })
    controller.abort()
    controller.abort('again')
    expect(count).toBe(1)
    expect(controller.signal.reason).toMatchObject({ name: 'AbortError' })
    expect(() => controller.signal.throwIfAborted()).toThrow('aborted')
  })

  it('any: fires with the first of several, and lets go of the others', () => {
    const [one, two] = [new Controller(), new Controller()]
    const any = Signal.any([one.signal, two.signal])
    two.abort('two')
    one.abort('one')
    expect([any.aborted, any.reason]).toEqual([true, 'two'])
    expect(Signal.any([one.signal, two.signal]).reason).toBe('one')
  })

  it('does not call a listener that was removed', () => {
    const controller = new Controller()
    const listener = () => {
      throw new Error('called')
    }
    controller.signal.addEventListener('abort', listener)
    controller.signal.removeEventListener('abort', listener)
    controller.abort()
    expect(controller.signal.aborted).toBe(true)
  })
})
