/**
 * Servers that stop mid-file, and that stall for ever: tried again so often, each time with a word, then a message and
 * the shell. Guests mostly wait here, so the two run side by side.
 */

import { afterAll, describe, expect, inject, it } from 'vitest'
import { makeOverlay } from '../../scripts/repository/overlay.ts'
import type { Machine } from '../../src/cli/boot/machine.ts'
import { type Behaviour, FileServer } from '../support/qemu/server.ts'
import { bootGuest, patience, refusal } from './guest.ts'

const ways: Readonly<Record<string, { readonly behaviour: Behaviour; readonly says: RegExp }>> = {
  'stops mid-file': { behaviour: { kind: 'stop', share: 0.6 }, says: /ended|closed|short|truncated|of \d/i },
  'stalls for ever': {
    behaviour: { kind: 'stall', share: 0.6 },
    says: /no byte|without a byte|stall|stands still/i,
  },
}

describe('a repository that', () => {
  const guests: Machine[] = []
  const servers: FileServer[] = []
  afterAll(async () => {
    for (const guest of guests) await guest.stop()
    for (const server of servers) await server.close()
  })

  for (const [way, { behaviour, says }] of Object.entries(ways)) {
    it.concurrent(way, async () => {
      const server = await FileServer.start(inject('demo'))
      servers.push(server)
      server.behave(/apkovl/, {
        kind: 'bytes',
        bytes: makeOverlay({ hostname: 'box', world: [], runlevels: {} }),
      })
      server.behave(/openrc-.*\.apk$/, behaviour)
      const guest = await bootGuest({
        append: ['ip=dhcp', `apkovl=${server.url}/box.apkovl.tar.gz`, `alpine_repo=${server.url}/apks`],
      })
      guests.push(guest)
      const notice = await guest.events.waitFor('notice', { phase: 'packages' }, 2 * patience)
      expect(String(notice.fields.text)).toMatch(/openrc.*again/)
      const { phase, text } = await refusal(guest, 6 * patience)
      expect(phase, text).toBe('packages')
      expect(text).toMatch(/openrc/)
      expect(text).toMatch(says)
      expect(server.requests.filter((path) => /openrc-/.test(path)).length).toBeGreaterThan(1)
    })
  }
})
