/** The fake machine's consoles: questions, answers, keymaps. */

import { gzipSync } from 'node:zlib'
import { expect, test } from 'vitest'
import { fakeMachine } from '../../support/machine/index.ts'

const question = { devices: ['/dev/ttyS0'], prompt: 'Password: ', echo: false, timeoutMs: 60_000 }

test('lines are typed in their order, a password is not shown, and then nobody is there', async () => {
  const machine = fakeMachine({ typed: ['wrong', 'right'] })
  const { consoles, clock } = machine
  expect([await consoles.ask(question), await consoles.ask({ ...question, echo: true })]).toEqual([
    'wrong',
    'right',
  ])
  expect(consoles.text()).toBe('Password: \nPassword: right\n')
  const before = clock.now()
  await expect(machine.run(consoles.ask(question))).rejects.toMatchObject({ code: 'TIMEOUT' })
  expect(clock.now() - before).toBe(60_000)
  expect(consoles.asked).toHaveLength(3)
})

test('an answer by the question, a question given up, a console that is not there', async () => {
  const machine = fakeMachine({ typed: ({ prompt }) => (prompt === 'Name: ' ? 'me' : undefined) })
  const { consoles } = machine
  expect(await consoles.ask({ ...question, prompt: 'Name: ' })).toBe('me')
  const given = new AbortController()
  const asked = consoles.ask(question, given.signal)
  given.abort()
  await expect(asked).rejects.toMatchObject({ code: 'ABORTED' })
  const nowhere = consoles.ask({ ...question, devices: ['/dev/tty9'] })
  await expect(nowhere).rejects.toMatchObject({ code: 'ENODEV' })
})

test('a keymap is loaded where there is a screen', async () => {
  const files = { '/de': 'bkeymap…', '/de.gz': gzipSync('bkeymap…'), '/text': 'keymaps 0-2' }
  const { consoles } = fakeMachine({
    files,
    consoles: [{ device: '/dev/tty0', screen: true, preferred: true }],
  })
  await consoles.setKeymap('/de')
  await consoles.setKeymap('/de.gz')
  expect(consoles.keymaps).toEqual(['/de', '/de.gz'])
  await expect(consoles.setKeymap('/text')).rejects.toMatchObject({ code: 'FORMAT' })
  await expect(consoles.setKeymap('/none')).rejects.toMatchObject({ code: 'ENOENT' })
  await expect(fakeMachine({ files }).consoles.setKeymap('/de')).rejects.toMatchObject({ code: 'ENODEV' })
})
