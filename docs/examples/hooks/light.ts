/**
 * A status light: blinking slowly while the network is waited for, quickly while the system is built, steady when it
 * takes over. Needs the driver of the light, here a keyboard's Caps Lock (--modules input-leds,ledtrig-timer).
 */
import { defineHook, hasCode, type Sys } from 'diskless'

const leds = '/sys/class/leds'
/** The first of these that a machine has; a real status light is called `platform::status` or the like. */
const wanted = [/status/, /power/, /capslock$/]

export default defineHook({
  beforeNetwork: ({ sys }) => show(sys, { onMs: 100, offMs: 900 }),
  leaseObtained: ({ sys }) => show(sys, { onMs: 100, offMs: 100 }),
  beforeHandoff: ({ sys }) => show(sys, 'steady'),
})

/** leds-class.rst in the kernel's documentation: what the files of a light mean. */
async function show(
  sys: Sys,
  how: 'steady' | { readonly onMs: number; readonly offMs: number },
): Promise<void> {
  const light = await findLight(sys)
  // A machine without one boots all the same.
  if (light === undefined) return
  const set = (file: string, text: string) => sys.files.writeText(`${leds}/${light}/${file}`, text)
  if (how === 'steady') {
    await set('trigger', 'none')
    await set('brightness', '1')
    return
  }
  try {
    await sys.modules.load('ledtrig-timer')
    await set('trigger', 'timer')
    await set('delay_on', String(how.onMs))
    await set('delay_off', String(how.offMs))
  } catch (error) {
    // No ledtrig-timer in this initrd: on is better than nothing.
    if (!hasCode(error, 'EINVAL', 'ENOENT', 'EACCES')) throw error
    await set('brightness', '1')
  }
}

async function findLight({ files }: Sys): Promise<string | undefined> {
  if ((await files.status(leds)) === undefined) return undefined
  const lights = await files.list(leds)
  return wanted.map((pattern) => lights.find((name) => pattern.test(name))).find((name) => name !== undefined)
}
