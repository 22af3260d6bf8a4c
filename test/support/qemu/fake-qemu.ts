/**
 * Stands for QEMU where a test asks what `diskless boot` makes of one: run as a program, with FAKE_QEMU for what it does.
 * FAKE_QEMU_LOG gets its process, its parent's and its arguments, a line of JSON each time it is asked for a machine.
 */
import { appendFileSync } from 'node:fs'
import { connect } from 'node:net'

const { FAKE_QEMU: act = 'runs', FAKE_QEMU_LOG: log = '', FAKE_QEMU_VERSION: version = '7.2.0' } = process.env
const words = process.argv.slice(2)

if (words[0] === '--version') {
  process.stdout.write(`QEMU emulator version ${version} (fake)\n`)
} else if (words.includes('kvm') && act !== 'hangs with KVM') {
  process.stderr.write('fake: no KVM\n')
  process.exitCode = 1
} else {
  appendFileSync(log, `${JSON.stringify({ pid: process.pid, parent: process.ppid, words })}\n`)
  // What keeps it up, whatever becomes of its sockets.
  setInterval(() => {}, 60_000)
  process.on('SIGINT', () => {})
  process.on('SIGHUP', () => {})
  if (act !== 'silent' && act !== 'hangs with KVM') runs()
}

function runs(): void {
  const path = (pattern: RegExp) => words.map((word) => pattern.exec(word)?.[1]).find(Boolean) ?? ''
  const qmp = connect(path(/^unix:(.*qmp)$/))
  const events = connect(path(/^socket,id=events,path=(.*)$/))
  qmp.on('error', () => {})
  events.on('error', () => {})
  qmp.setEncoding('utf8').on('data', (text: string) => {
    for (const line of text.split('\n').filter(Boolean)) {
      qmp.write('{"return":{}}\n')
      if (line.includes('"cont"')) speaks(events)
    }
  })
}

function speaks(events: NodeJS.WritableStream): void {
  process.stdout.write('Linux version 6.1.0-fake\n')
  const timeline = { version: 1, phases: [] }
  const event = (fields: object) => events.write(`${JSON.stringify({ at: 1234, ...fields })}\n`)
  if (act === 'comes up') event({ event: 'handoff', timeline })
  if (act === 'fails') {
    const chain = ['the overlay could not be fetched', 'the server answered 404']
    event({ event: 'failed', phase: 'overlay', chain, advice: ['Put it there\u001b[2J.'], timeline })
  }
  if (act === 'dies') {
    process.stderr.write('fake: out of order\n', () => process.exit(1))
  }
  if (act === 'talks') {
    const more = () => process.stdout.write('a line of the console\n'.repeat(2000), () => setImmediate(more))
    more()
  }
}
