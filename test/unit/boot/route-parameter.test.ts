import { expect, test } from 'vitest'
import { parseRoute } from '../../../src/boot/route-parameter.ts'

test.each([
  ['10.1.2.3/8:10.9.0.1', '10.0.0.0/8', '10.9.0.1', undefined],
  ['10.0.0.0/255.255.0.0:10.9.0.1:eth1', '10.0.0.0/16', '10.9.0.1', 'eth1'],
  ['0.0.0.0/0:10.9.0.1:', '0.0.0.0/0', '10.9.0.1', undefined],
])('rd.route=%s', (text, destination, gateway, device) => {
  expect(parseRoute(text)).toEqual({ destination, gateway, device })
})

test.each([
  '',
  '10.0.0.0',
  '10.0.0.0/8',
  '10.0.0.0/33:10.9.0.1',
  '10.0.0.0/8:nobody',
  '10.0.0.0/8:10.9.0.1:a b:c',
])('rd.route=%s is refused', (text) => {
  expect(parseRoute(text)).toMatch(/^rd\.route=/)
})
