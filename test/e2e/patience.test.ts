/**
 * Servers that stop mid-file, and that stall for ever: tried again so often, each time with a word, then a message and
 * the shell. Guests mostly wait here, so these two run side by side.
 */

import { afterEach, describe, expect, inject, it } from 'vitest'
import { makeOverlay } from '../../scripts/repository/overlay.ts'
import type { Machine } from '../support/qemu/machine.ts'
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
  afterEach(async () => {
    for (const guest of guests.splice(0)) await guest.stop()
    for (const server of servers.splice(0)) await server.close()
  })

  for (const [way, { behaviour, says }] of Object.entries(ways)) {
    it(way, async () => {
      const server = await FileServer.start(inject('demo'))
      servers.push(server)
      server.behave(/apkovl/, {
        kind: 'bytes',
        bytes: makeOverlay({ hostname: 'box', world: [], runlevels: {} }),
      })
      server.behave(/openrc-.*\.apk$/, behaviour)
      const guest = await bootGuest({
        append: [
          'ip=dhcp',
          'diskless.fetch_timeout=20',
          `apkovl=${server.url}/box.apkovl.tar.gz`,
          `alpine_repo=${server.url}/apks`,
        ],
      })
      guests.push(guest)
      const notice = await guest.events.waitFor('notice', { phase: 'packages' }, 2 * patience)
      expect(String(notice.fields.text)).toMatch(/openrc.*again/)
      const { phase, text } = await refusal(guest, 3 * patience)
      expect(phase).toBe('packages')
      expect(text).toMatch(/openrc/)
      expect(text).toMatch(says)
      expect(server.requests.filter((path) => /openrc-/.test(path)).length).toBeGreaterThan(1)
    })
  }
})
