import { describe, expect, it } from 'vitest'
import { EventLog } from '../../../src/cli/boot/events.ts'
import { DeadlinePassed, Transcript } from '../../../src/cli/boot/transcript.ts'

const long = 60_000

describe('a transcript', () => {
  it('finds what is there already, and then only what comes after', async () => {
    const transcript = new Transcript()
    transcript.add('login: root\nlogin: ')
    await transcript.waitFor(/login: /, long)
    expect(transcript.rest).toBe('root\nlogin: ')
    await transcript.waitFor(/login: $/, long)
    expect(transcript.rest).toBe('')
  })

  it('waits for what comes in pieces, escape sequences among them cut in two', async () => {
    const transcript = new Transcript()
    const found = transcript.waitFor(/done \d$/, long)
    for (const piece of ['do\u001b', '[1;3', '1mne\r', ' 7']) transcript.add(piece)
    expect((await found)[0]).toBe('done 7')
  })

  it('says what there was when the deadline passes', async () => {
    const transcript = new Transcript()
    transcript.add('something else\n')
    await expect(transcript.waitFor(/login/, 1)).rejects.toThrow(DeadlinePassed)
    await expect(transcript.waitFor(/login/, 1)).rejects.toThrow(/something else/)
  })

  it('tells who waits, and who asks later, that there will be no more', async () => {
    const transcript = new Transcript()
    const waiting = transcript.waitFor(/login/, long)
    transcript.end(new Error('the guest ended'))
    await expect(waiting).rejects.toThrow(/the guest ended/)
    await expect(transcript.waitFor(/login/, long)).rejects.toThrow(/the guest ended/)
  })
})

describe('a log of events', () => {
  it('puts lines together, and finds events by their fields', async () => {
    const log = new EventLog()
    const found = log.waitFor('phase', { state: 'failed' }, long)
    log.add('{"event":"phase","at":1,"state":"start"}\n{"event":"pha')
    log.add('se","at":2.5,"state":"failed"}\n')
    expect((await found).at).toBe(2.5)
  })

  it('refuses what is no event', () => {
    expect(() => new EventLog().add('{"at":1}\n')).toThrow(/not an event/)
  })
})
