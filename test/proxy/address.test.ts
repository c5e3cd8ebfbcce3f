import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { isHiveError } from '../../src/errors.ts'
import type { HostClass } from '../../src/http/host-names.ts'
import type { CocoonAddress } from '../../src/proxy/address.ts'
import { readAddress } from '../../src/proxy/address.ts'

const CONTROL: HostClass = { kind: 'control' }

function byPath(path: string): CocoonAddress {
  return readAddress({ authority: 'localhost', host: CONTROL, path })
}

function byHost(label: string, path = '/'): CocoonAddress {
  return readAddress({ authority: `${label}.localhost`, host: { kind: 'cocoon', label }, path })
}

function codeOf(read: () => unknown): string {
  try {
    read()
  } catch (error) {
    if (isHiveError(error)) return error.code
    throw error
  }
  return 'accepted'
}

test('an address is cut after the name, byte for byte', () => {
  const { mode, name, port, prefix, rest } = byPath('/cocoons/demo/a%20b//c?x=%2f+1&x')
  assert.deepEqual(
    { mode, name, port, prefix, rest },
    { mode: 'path', name: 'demo', port: null, prefix: '/cocoons/demo', rest: '/a%20b//c?x=%2f+1&x' },
  )
})

const SEGMENTS: readonly (readonly [segment: string, name: string, port: number | null])[] = [
  ['a', 'a', null],
  ['a-b', 'a-b', null],
  ['a:8080', 'a', 8080],
  ['cocoons:a', 'a', null],
  ['cocoons:a:8080', 'a', 8080],
  ['cocoons', 'cocoons', null],
  ['cocoons:8080', '8080', null],
  ['cocoons:cocoons:8080', 'cocoons', 8080],
  ['8080', '8080', null],
  ['8080:80', '8080', 80],
]
for (const [segment, name, port] of SEGMENTS) {
  test(`the segment ${segment} names ${name} with port ${port}`, () => {
    const address = byPath(`/cocoons/${segment}/x`)
    assert.deepEqual([address.name, address.port, address.prefix], [name, port, `/cocoons/${segment}`])
  })
}

const WRONG_SEGMENTS = [
  '',
  'A',
  'a_b',
  '-a',
  'a-',
  'a--b',
  'a.b',
  'a;x',
  'a:',
  'a:x',
  'a:123456',
  'a:80:80',
  'cocoons:',
  'Cocoons:a',
  '%61',
  '%41',
  'a%00',
  'a%2fb',
  'a%2f..',
  '..',
  '%2e%2e',
  'a'.repeat(57),
  'xn--a',
  '__proto__',
]
for (const segment of WRONG_SEGMENTS) {
  test(`P27 P28 the segment "${segment.slice(0, 20)}" is refused`, () => {
    assert.equal(
      codeOf(() => byPath(`/cocoons/${segment}/x`)),
      'HIVE_REQUEST_INVALID',
    )
  })
}

test('P28 every name of the record grammar is accepted as it stands', () => {
  const name = fc.stringMatching(/^[a-z0-9]([a-z0-9-]{0,54}[a-z0-9])?$/).filter((text) => !text.includes('--'))
  fc.assert(fc.property(name, (text) => byPath(`/cocoons/${text}/`).name === text && byHost(text).name === text))
})

test('a path outside /cocoons/ is nothing of the proxy', () => {
  for (const path of ['/', '/cocoons', '/Cocoons/a/', '/%63ocoons/a/', '//cocoons/a/', '/control']) {
    assert.equal(
      codeOf(() => byPath(path)),
      'HIVE_NOT_FOUND',
      path,
    )
  }
})

test('a bare name has a rest without a slash', () => {
  assert.equal(byPath('/cocoons/a').rest, '')
  assert.equal(byPath('/cocoons/a?x=1').rest, '?x=1')
})

test('host mode takes <name> and <port>--<name> and prefixes nothing', () => {
  const address = byHost('8080--demo', '/cocoons/other/')
  assert.deepEqual([address.name, address.port, address.prefix, address.rest], ['demo', 8080, '', '/cocoons/other/'])
  for (const label of ['a.b', 'A', 'a--b', 'x--a', '123456--a', '-a', '80--', '--a', 'xn--a']) {
    assert.equal(
      codeOf(() => byHost(label)),
      'HIVE_REQUEST_INVALID',
      label,
    )
  }
})

const CLIMBS = [
  '/../x',
  '/../../api/v1/x',
  '/x/..',
  '/%2e%2e/x',
  '/%2E./x',
  '/.%2e/x',
  '/..%2fx',
  '/..%2Fx',
  '/x%2f..',
  '/..%5cx',
  '/..\\x',
  '/x\\..',
  '/..;/x',
  '/%2e%2e;a=b/x',
]
for (const path of CLIMBS) {
  test(`P17 ${path} is refused`, () => {
    assert.equal(
      codeOf(() => byPath(`/cocoons/a${path}`)),
      'HIVE_REQUEST_INVALID',
    )
    assert.equal(
      codeOf(() => byHost('a', path)),
      'HIVE_REQUEST_INVALID',
    )
  })
}

const PASSED: readonly (readonly [row: string, path: string])[] = [
  ['P18', '/%252e%252e/x'],
  ['P19', '/b%2fc'],
  ['P19', '/b%2Fc'],
  ['P19', '/a%20b'],
  ['P19', '/%41'],
  ['P19', '/{x}|^"`<>'],
  ['P20', '//evil.example/x'],
  ['P20', '///x'],
  ['P20', '/http://evil/'],
  ['P20', '/@evil'],
  ['P20', '/test@evil.com/p'],
  ['P21', '/..foo'],
  ['P21', '/foo..'],
  ['P21', '/...'],
  ['P21', '/.hidden'],
  ['P22', '/./x'],
  ['P22', '/x/%2e'],
  ['P22', '/x/'],
  ['P22', '/x//y'],
  ['P24', '/%0d%0aX:1'],
  ['P24', '/%00'],
  ['P24', '/.%00./x'],
  ['P25', '/?a?b=c'],
  ['P25', '/?a=1&a=2'],
  ['P25', '/?%2f+%20'],
  ['P25', '/?'],
  ['P25', '/?a;b'],
  ['P25', '/?a=../..&b=%zz'],
]
for (const [row, path] of PASSED) {
  test(`${row} ${path} passes byte-identical`, () => {
    assert.equal(byPath(`/cocoons/a${path}`).rest, path)
    assert.equal(byHost('a', path).rest, path)
  })
}

for (const path of ['/%zz', '/%', '/%a', '/%c0%ae%c0%ae/', '/%ff']) {
  test(`P23 ${path} is refused`, () => {
    assert.equal(
      codeOf(() => byPath(`/cocoons/a${path}`)),
      'HIVE_REQUEST_INVALID',
    )
  })
}

for (const path of ['/x#frag', '/?q#frag', '#frag', '/\u00e9', '/?\u00e9', '/ x', '/\x7f', '/\t']) {
  test(`P19 P26 ${JSON.stringify(path)} is refused`, () => {
    assert.equal(
      codeOf(() => byPath(`/cocoons/a${path}`)),
      'HIVE_REQUEST_INVALID',
    )
  })
}

test('a target that is no path is refused', () => {
  assert.equal(
    codeOf(() => readAddress({ authority: 'x', host: CONTROL, path: null })),
    'HIVE_REQUEST_INVALID',
  )
})
