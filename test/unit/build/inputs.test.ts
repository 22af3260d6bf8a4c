import { createHash, generateKeyPairSync, sign } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import {
  readKeymaps,
  readKeys,
  readModloop,
  readModloopSignatures,
  readOverlayKeys,
} from '../../../build/inputs.ts'
import { parse } from '../../../src/cli/build.ts'
import { temporaryDirectory, writeFiles } from './synthetic.ts'

const keymap = Buffer.concat([Buffer.from('bkeymap'), Buffer.alloc(512)])

describe('keymaps', () => {
  it('keep their names and their compression', () => {
    const root = temporaryDirectory()
    writeFiles(root, { 'de-latin1.bmap': keymap, 'fr.bmap.gz': gzipSync(keymap) })
    const read = readKeymaps([join(root, 'de-latin1.bmap'), join(root, 'fr.bmap.gz')])
    expect([...read.keys()]).toEqual(['de-latin1.bmap', 'fr.bmap.gz'])
    expect(read.get('fr.bmap.gz')).toEqual(gzipSync(keymap))
  })

  it.each([
    ['us.map', keymap, 'is called NAME.bmap'],
    ['ask.bmap', keymap, 'is called NAME.bmap'],
    ['us.bmap', Buffer.from('keycode 1 = Escape\n'), "is no keymap in busybox' format"],
    ['us.bmap', keymap.subarray(0, 200), "is no keymap in busybox' format"],
    ['us.bmap.gz', keymap, 'could not be decompressed'],
  ])('are refused: %s', (name, bytes, message) => {
    const root = temporaryDirectory()
    writeFiles(root, { [name]: bytes })
    expect(() => readKeymaps([join(root, name)])).toThrow(message)
  })

  it('are refused when two have one name', () => {
    const root = temporaryDirectory()
    writeFiles(root, { 'a/de.bmap': keymap, 'b/de.bmap': keymap })
    expect(() => readKeymaps([join(root, 'a/de.bmap'), join(root, 'b/de.bmap')])).toThrow('another file of')
  })
})

/** A modloop with its signature as Alpine makes it. */
function signedModloop() {
  const root = temporaryDirectory()
  const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 1024 })
  const modloop = Buffer.alloc(4096)
  modloop.write('hsqs', 0, 'latin1')
  modloop.writeBigUInt64LE(4096n, 40)
  writeFiles(root, {
    'modloop-lts': modloop,
    'site.rsa.pub': publicKey.export({ type: 'spki', format: 'pem' }),
    'modloop-lts.SIGN.RSA.site.rsa.pub': sign('RSA-SHA1', modloop, privateKey),
  })
  const path = join(root, 'modloop-lts')
  const signatures = readModloopSignatures([`${path}.SIGN.RSA.site.rsa.pub`])
  const keys = readKeys([join(root, 'site.rsa.pub')])
  return { root, path, modloop, signatures, keys }
}

describe('a modloop', () => {
  it('is known by its digest, once its signature is right', async () => {
    const { path, modloop, signatures, keys } = signedModloop()
    const sha256 = createHash('sha256').update(modloop).digest('hex')
    expect(await readModloop(path, signatures, keys)).toEqual({ sha256, size: 4096 })
  })

  it('is refused when the signature is of another one', async () => {
    const { path, modloop, signatures, keys } = signedModloop()
    modloop[3000] = 1
    writeFileSync(path, modloop)
    await expect(readModloop(path, signatures, keys)).rejects.toThrow('is not what modloop-lts.SIGN.RSA.site')
    // Without the key nobody can tell.
    expect((await readModloop(path, signatures, new Map())).size).toBe(4096)
  })

  it('is a squashfs, and a signature is named after it', async () => {
    const { root, path } = signedModloop()
    writeFileSync(path, 'hello')
    await expect(readModloop(path, new Map(), new Map())).rejects.toThrow('neither a squashfs nor')
    writeFiles(root, { 'modloop-lts.sig': 'x' })
    expect(() => readModloopSignatures([join(root, 'modloop-lts.sig')])).toThrow('is no signature')
  })
})

describe("the keys of overlays' signers", () => {
  it('are public ones', () => {
    const root = temporaryDirectory()
    writeFiles(root, {
      'admin.pem': '-----BEGIN PUBLIC KEY-----\nMIIB\n-----END PUBLIC KEY-----\n',
      'secret.pem': '-----BEGIN PRIVATE KEY-----\n',
    })
    expect([...readOverlayKeys([join(root, 'admin.pem')]).keys()]).toEqual(['admin.pem'])
    expect(() => readOverlayKeys([join(root, 'secret.pem')])).toThrow('is a private key')
  })
})

describe("build's options for them", () => {
  it('may be repeated', () => {
    const words = ['--keymap', 'a', '--keymap', 'b', '--overlay-key', 'k', '--modloop', 'm']
    const request = parse(['--kernel', 'K', '--out', 'O', ...words, '--modloop-signature', 's'])
    expect(request).toMatchObject({
      keymaps: ['a', 'b'],
      overlayKeys: ['k'],
      modloop: 'm',
      modloopSignatures: ['s'],
    })
  })
})
