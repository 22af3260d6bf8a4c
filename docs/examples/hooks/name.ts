/** A machine's own name, from the serial number that its vendor gave it: `kiosk-czc1234567`. */
import { BootError, defineHook } from 'diskless'

const serialPath = '/sys/class/dmi/id/product_serial'
/** What firmware says where nobody filled it in. */
const noNumbers = ['', 'none', 'not specified', 'default string', 'to be filled by o.e.m.', '0']

export default defineHook({
  async rootBuilt({ sys, write, tell }) {
    const serial = (await sys.files.readText(serialPath)).trim().toLowerCase()
    if (noNumbers.includes(serial)) {
      throw new BootError(`${serialPath} says '${serial}', and that is no serial number`, {
        advice: ['set it in the firmware, or name this machine by its MAC: plan.machine, network.mac'],
      })
    }
    // A host name is letters, digits and hyphens, at most 63 of them (RFC 1123).
    const name = `kiosk-${serial.replace(/[^a-z0-9]+/g, '-')}`.slice(0, 63).replace(/-+$/, '')
    await write('/etc/hostname', `${name}\n`)
    tell(`this is ${name}`)
  },
})
