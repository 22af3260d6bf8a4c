/** `diskless boot`: what it makes of a directory and of its options, before a machine is switched on. */
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, describe, expect, it } from 'vitest'
import { writeBootScript } from '../../../build/ipxe.ts'
import { type Hardware, qemuCommand } from '../../../src/cli/boot/hardware.ts'
import { darkLines, withLines } from '../../../src/cli/boot/lines.ts'
import { atOnce, fromPowerOn } from '../../../src/cli/boot/published.ts'
import { type Served, serve } from '../../../src/cli/boot/serve.ts'
import { tftpSeconds } from '../../../src/cli/boot/tftp.ts'
import { bootCommand, parse } from '../../../src/cli/boot.ts'

const directory = mkdtempSync(join(tmpdir(), 'diskless-boot-test-'))
afterAll(() => rmSync(directory, { recursive: true }))

const asIs = (words: readonly string[]) => words

function built(name: string, script: string, files: readonly string[] = ['vmlinuz', 'initrd']): string {
  const path = join(directory, name)
  mkdirSync(path)
  writeFileSync(join(path, 'boot.ipxe'), script)
  for (const file of files) writeFileSync(join(path, file), file)
  return path
}

describe('what is booted at once', () => {
  it('is the kernel, the initrd and the command line of what was built', () => {
    const path = built(
      'built',
      writeBootScript('console=ttyS0 ip=dhcp apkovl=http://10.0.2.2/{MAC}.apkovl.tar.gz'),
    )
    expect(atOnce(path, (words) => [...words, 'quiet'])).toEqual({
      by: 'kernel',
      kernel: join(path, 'vmlinuz'),
      initrd: join(path, 'initrd'),
      append: 'console=ttyS0 ip=dhcp apkovl=http://10.0.2.2/{MAC}.apkovl.tar.gz quiet',
    })
    expect(fromPowerOn(path)).toEqual({ by: 'ipxe', directory: path, script: 'boot.ipxe' })
  })

  it('is what was published, with the card and the lease that iPXE would have put in', () => {
    mkdirSync(join(directory, 'published', 'files'), { recursive: true })
    const words = [
      'BOOTIF=01-$' + '{netX/mac:hexhyp}',
      'ip=$' + '{netX/ip}:$' + '{netX/next-server}::none',
      'quiet',
    ]
    const script = `#!ipxe
imgfree
kernel files/vmlinuz-1 initrd=initrd ${words.join(' ')} || goto failed
initrd files/initrd-1 || goto failed
boot || goto failed
`
    const path = join(directory, 'published')
    writeFileSync(join(path, 'boot.ipxe'), script)
    for (const file of ['vmlinuz-1', 'initrd-1']) writeFileSync(join(path, 'files', file), file)
    expect(atOnce(path, asIs).append).toBe('BOOTIF=01-52-54-00-12-34-56 ip=dhcp quiet')
  })

  it.each([
    ['a directory that is not there', () => join(directory, 'none'), /is not there/],
    ['a file', () => join(built('file', ''), 'boot.ipxe'), /is not a directory/],
    ['an empty directory', () => mkdtempSync(join(directory, 'empty')), /has no boot\.ipxe/],
    [
      'a kernel that is missing',
      () => built('half', writeBootScript('x'), ['initrd']),
      /vmlinuz is not there/,
    ],
    [
      'an image that only iPXE can add',
      () => built('beside', '#!ipxe\nkernel vmlinuz\ninitrd initrd\ninitrd image /image.squashfs\n'),
      /more than one kernel and one initrd/,
    ],
  ])('is none of %s', (_, make, message) => {
    expect(() => atOnce(make(), asIs)).toThrow(message)
  })

  it('is nothing outside the directory', () => {
    const path = built('outside', '#!ipxe\nkernel ../built/vmlinuz\ninitrd initrd\n')
    expect(() => atOnce(path, asIs)).toThrow(/is outside/)
    symlinkSync('/etc/passwd', join(path, 'stolen'))
    writeFileSync(join(path, 'boot.ipxe'), '#!ipxe\nkernel stolen\ninitrd initrd\n')
    expect(() => atOnce(path, asIs)).toThrow(/is outside/)
  })
})

describe('the serial lines', () => {
  it.each([
    // The kernel writes on the first that is named; the last is the one of the system's init.
    ['console=ttyS0 quiet', true, 'console=ttyS0 quiet console=ttyS1 console=ttyS0'],
    ['quiet', true, 'quiet console=ttyS0 console=ttyS1 console=ttyS0'],
    [
      'console=ttyS0,115200 console=tty0',
      true,
      'console=ttyS0,115200 console=tty0 console=ttyS1 console=tty0',
    ],
    ['console=ttyS1,9600 console=ttyS0', true, 'console=ttyS1,9600 console=ttyS0'],
    ['quiet', false, 'quiet console=ttyS0'],
    ['console=tty0', false, 'console=tty0 console=ttyS0'],
    ['console=ttyS1', false, 'console=ttyS1'],
  ] as const)('of %j, a second one: %j, are %j', (words, second, all) => {
    expect(withLines(words.split(' '), second).join(' ')).toBe(all)
  })
})

describe('a serial line that stays dark', () => {
  it.each([
    ['quiet', false, [/no console=ttyS0.*--direct adds it/]],
    ['console=ttyS1', false, [/says console=ttyS1.*--console FILE/]],
    ['console=ttyS0,9600', true, [/no console=ttyS1.*--direct adds it/]],
    ['console=ttyS1 console=ttyS0', true, []],
  ] as const)('is told of: %s, a second one: %j', (words, second, remarks) => {
    expect(darkLines(words.split(' '), second)).toEqual(remarks.map((each) => expect.stringMatching(each)))
    expect(darkLines(withLines(['quiet'], second), second)).toEqual([])
  })
})

describe('a bad wire', () => {
  it('lets the firmware wait for each block', () => {
    // 10,000 blocks, there and back; and one of five is lost on the way.
    expect(tftpSeconds(14_320_000, { loss: 0, delayMs: 40 })).toBeCloseTo(800)
    expect(tftpSeconds(14_320_000, { loss: 0.1, delayMs: 40 }) / 60).toBeGreaterThan(20)
  })
})

describe('the options', () => {
  it('have sensible defaults', () => {
    expect(parse(['/srv/boot'])).toMatchObject({
      ...{ directory: '/srv/boot', direct: false, memoryMb: 1024, cpus: 1, cards: ['virtio-net-pci'] },
      ...{ loss: 0, delayMs: 0, uefi: false, kvm: false, once: false },
    })
  })

  it('are what a machine is made of', () => {
    const words = [
      '--card e1000e --card virtio --loss 10 --delay 40 --console tty.log --append quiet --cpus 4',
    ]
    expect(parse(['x', ...words.join(' ').split(' ')])).toMatchObject({
      ...{ cards: ['e1000e', 'virtio-net-pci'], loss: 0.1, delayMs: 40, direct: true, cpus: 4 },
      console: `file:${join(process.cwd(), 'tty.log')}`,
    })
  })

  it.each([
    [['--card', 'ne2000'], /the cards are virtio, /],
    [['--loss', '101'], /a number from 0 to 100/],
    [['--memory', '1'], /a number from 64/],
    [['--server', '10.0.0.300'], /no IPv4 address/],
    [['--timeline', 'x.json'], /--timeline needs --once/],
    [['--lost', '10'], /--lost/],
  ])('%j are refused', (words, message) => {
    expect(() => parse(['x', ...words])).toThrow(message)
  })

  it('without QEMU lead to its package', async () => {
    const { PATH } = process.env
    process.env.PATH = directory
    try {
      await expect(bootCommand.run(['x'])).rejects.toMatchObject({
        message: 'qemu-system-x86_64 is not here',
        advice: [expect.stringContaining('apt install qemu-system-x86')],
      })
    } finally {
      process.env.PATH = PATH
    }
  })
})

describe('QEMU is asked for', () => {
  const hardware: Hardware = {
    start: { by: 'ipxe', directory: '/srv/a,b' },
    memoryMb: 512,
    cards: [{ kind: 'user', model: 'e1000e' }, { kind: 'user' }],
  }
  const command = async (change: Partial<Hardware>) =>
    (await qemuCommand({ ...hardware, ...change }, '/run/x')).join(' ')

  it('a server of the address that was published for, by the first card', async () => {
    const text = await command({ serverAddress: '192.168.7.1' })
    expect(text).toContain(
      '-netdev user,id=net0,net=192.168.7.0/24,host=192.168.7.1,tftp=/srv/a,,b,bootfile=boot.ipxe -device e1000e,netdev=net0',
    )
    expect(text).toContain('-netdev user,id=net1,net=192.168.7.0/24,host=192.168.7.1 -device virtio-net-pci')
  })

  it('the same behind a bad wire', async () => {
    const wire = { card: '/run/w/card', uplink: '/run/w/uplink' }
    const text = await command({ cards: [{ kind: 'wire', wire }] })
    expect(text).toContain('-netdev user,id=far0,tftp=/srv/a,,b,bootfile=boot.ipxe')
    expect(text).toContain('addr.path=/run/w/card')
  })

  it('UEFI, a second line, more processors, KVM', async () => {
    const text = await command({
      firmware: { code: '/f/code,1.fd', variables: '/f/vars.fd' },
      ...{ serialLines: ['pty'], cpus: 4, accelerator: 'kvm', reboots: true },
    })
    expect(text).toContain('-drive if=pflash,format=raw,unit=0,file=/f/code,,1.fd,readonly=on')
    expect(text).toContain('-drive if=pflash,format=raw,unit=1,file=/f/vars.fd')
    expect(text).toMatch(/-serial chardev:console .*-serial pty/)
    expect(text).toContain('-accel kvm -m 512 -smp 4')
    expect(text).not.toContain('-no-reboot')
  })
})

describe('what is served', () => {
  let served: Served | undefined
  afterEach(async () => {
    await served?.close()
    served = undefined
  })

  /** As it is, dots included: fetch would tidy it. */
  const status = (port: number, path: string) =>
    new Promise<number | undefined>((resolve, reject) => {
      request({ host: '127.0.0.1', port, path }, (answer) => resolve(answer.resume().statusCode))
        .on('error', reject)
        .end()
    })

  it('is the directory, and nothing beside it', async () => {
    const path = built('served', 'script')
    symlinkSync('/etc/passwd', join(path, 'link'))
    served = await serve(path, 0)
    const { port } = served
    expect(await (await fetch(`http://127.0.0.1:${port}/vmlinuz?x=1`)).text()).toBe('vmlinuz')
    for (const name of [
      '/',
      '/none',
      '/../served/../../x',
      '/%2e%2e/built/vmlinuz',
      '/link',
      '/%00',
      '/%ff',
    ]) {
      expect([name, await status(port, name)]).toEqual([name, 404])
    }
  })

  it('goes on where a connection broke, if it is still the same', async () => {
    served = await serve(built('resumed', 'script'), 0)
    const url = `http://127.0.0.1:${served.port}/initrd`
    const etag = (await fetch(url)).headers.get('etag') ?? ''
    const rest = async (condition: string) => {
      const answer = await fetch(url, { headers: { range: 'bytes=2-', 'if-range': condition } })
      return [answer.status, await answer.text()]
    }
    expect(await rest(etag)).toEqual([206, 'itrd'])
    expect(await rest('"another"')).toEqual([200, 'initrd'])
  })

  it('is not served at a port that is taken', async () => {
    served = await serve(directory, 0)
    await expect(serve(directory, served.port)).rejects.toThrow(/the port is taken/)
  })
})
