import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type HostConfig, hostNames } from '../../src/http/host-names.ts'

const CONFIG: HostConfig = {
  host: '192.0.2.1',
  publicUrl: 'https://Hive.Example:8443',
  allowedHosts: ['box'],
  cocoonDomain: 'localhost',
}

const CASES: readonly (readonly [authority: string, kind: string])[] = [
  ['localhost', 'control'],
  ['LOCALHOST:8020', 'control'],
  ['127.0.0.1:8020', 'control'],
  ['127.8.9.10', 'control'],
  ['[::1]:8020', 'control'],
  ['192.0.2.1', 'control'],
  ['hive.example', 'control'],
  ['box:1', 'control'],
  ['demo.localhost:8020', 'cocoon'],
  ['a.b.localhost', 'cocoon'],
  ['evil', 'foreign'],
  ['evil.example:8020', 'foreign'],
  ['127.0.0.1.evil.example', 'foreign'],
  ['10.0.0.1', 'foreign'],
  ['[::2]', 'foreign'],
  ['notlocalhost', 'foreign'],
  ['localhost.', 'malformed'],
  ['127.0.0.1@evil', 'malformed'],
  ['a, b', 'malformed'],
  ['localhost/x', 'malformed'],
  ['local host', 'malformed'],
  ['.localhost', 'malformed'],
  ['localhost:', 'malformed'],
  ['localhost:x', 'malformed'],
  ['', 'malformed'],
]
for (const [authority, kind] of CASES) {
  test(`A30 P11 the authority "${authority}" is ${kind}`, () => {
    assert.equal(hostNames(CONFIG)(authority).kind, kind)
  })
}

test('a name below the cocoon domain that is listed by itself stays with the control plane', () => {
  const classify = hostNames({ ...CONFIG, publicUrl: 'https://hive.example.org', cocoonDomain: 'example.org' })
  assert.deepEqual(classify('hive.example.org'), { kind: 'control' })
  assert.deepEqual(classify('demo.example.org'), { kind: 'cocoon', label: 'demo' })
})

test('without a cocoon domain there is no host mode', () => {
  assert.equal(hostNames({ ...CONFIG, cocoonDomain: null })('demo.localhost').kind, 'foreign')
})

test('an unspecified listener address allows no name by itself', () => {
  for (const host of ['0.0.0.0', '::']) {
    assert.equal(hostNames({ ...CONFIG, host })('0.0.0.0').kind, 'foreign')
    assert.equal(hostNames({ ...CONFIG, host })('[::]').kind, 'foreign')
  }
})
