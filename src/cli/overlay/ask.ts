/** A password from the person at the terminal, without echo. */

import { createInterface } from 'node:readline'
import { Writable } from 'node:stream'
import { CommandError } from '../../../build/error.ts'

/** Rejects where nobody is there, or who is there does not want to. `advice`: what to do without a terminal. */
export async function askPassword(prompt: string, advice: string): Promise<string> {
  const { stdin, stderr } = process
  if (!stdin.isTTY) {
    throw new CommandError(`${prompt.replace(/: $/, '')}: nobody is there to be asked for it`, {
      advice: [advice],
    })
  }
  // readline edits the line and sees Ctrl-C; what it would echo goes nowhere. The prompt once the terminal's own echo is off.
  const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() })
  const reader = createInterface({ input: stdin, output: nowhere, terminal: true })
  stderr.write(prompt)
  try {
    return await new Promise<string>((resolve, reject) => {
      reader.on('SIGINT', () => reject(new CommandError('no password was given')))
      reader.on('close', () => reject(new CommandError('no password was given')))
      reader.question('', resolve)
    })
  } finally {
    reader.close()
    stderr.write('\n')
  }
}
