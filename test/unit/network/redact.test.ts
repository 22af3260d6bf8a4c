import { describe, expect, it } from 'vitest'
import { redactCommandLine, secretsOf, withoutSecrets } from '../../../src/network/redact.ts'

const cases: readonly (readonly [line: string, shown: string, secrets: readonly string[]])[] = [
  ['quiet ip=dhcp keymap=de console=ttyS0,115200', 'quiet ip=dhcp keymap=de console=ttyS0,115200', []],
  [
    'apkovl=http://u:p%40ss@h/{MAC}|https://v:other@h/?sig=abc&x=1',
    'apkovl=http://u:***@h/{MAC}|https://v:***@h/?sig=***&x=1',
    ['p%40ss', 'p@ss', 'other', 'abc'],
  ],
  ['http_proxy=me:secret@10.0.0.1:3128', 'http_proxy=me:***@10.0.0.1:3128', ['secret']],
  ['diskless.apkovl_password=http://h/p', 'diskless.apkovl_password=http://h/p', []],
  ['rootpw=abcd wpa.psk="a b c"', 'rootpw=*** wpa.psk=***', ['abcd', 'a b c']],
  ['"mysql_password=a b"', '"mysql_password=***"', ['a b']],
  ['opts=user=me,password=hunter2,ro', 'opts=user=me,password=***,ro', ['hunter2']],
  ['alpine_dev=nfs:10.0.0.1:/a,vers=4.2', 'alpine_dev=nfs:10.0.0.1:/a,vers=4.2', []],
]

describe('a command line leaves the machine', () => {
  it.each(cases)('%s', (line, shown, secrets) => {
    expect(redactCommandLine(line)).toBe(shown)
    expect([...secretsOf(line)].sort()).toEqual([...secrets].sort())
  })
})

it('what repeats a secret is without it, however deep; the names of its parts stay', () => {
  const said = { chain: ['no hunter2 here', 'none'], hunter2: { text: 'hunter22', at: 1, none: null } }
  expect(withoutSecrets(said, ['hunter2'])).toEqual({
    chain: ['no *** here', 'none'],
    hunter2: { text: '***2', at: 1, none: null },
  })
})
