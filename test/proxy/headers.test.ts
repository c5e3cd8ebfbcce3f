import assert from 'node:assert/strict'
import type { IncomingMessage } from 'node:http'
import { test } from 'node:test'
import { type ForwardedFacts, isLoop, requestHeaders, responseHeaders } from '../../src/proxy/headers.ts'
import type { OwnOrigins } from '../../src/proxy/location.ts'

const FACTS: ForwardedFacts = { clientAddress: '192.0.2.7', proto: 'http', authority: 'h:8020', prefix: '/cocoons/a' }
const ADDED = ['X-Forwarded-For', 'X-Forwarded-Proto', 'X-Forwarded-Host', 'X-Forwarded-Prefix', 'Via']

/** A request of which only the fields matter, joined as Node joins them. */
function request(...fields: readonly (readonly [string, string])[]): IncomingMessage {
  const headers: Record<string, string> = {}
  for (const [name, value] of fields) {
    const lower = name.toLowerCase()
    headers[lower] = headers[lower] === undefined ? value : `${headers[lower]}, ${value}`
  }
  return { rawHeaders: fields.flat(), headers } as unknown as IncomingMessage
}

function sent(...fields: readonly (readonly [string, string])[]): [string, string][] {
  return pairs(requestHeaders(request(...fields), FACTS, (token) => token === 'hive'))
}

function pairs(flat: readonly string[] | null): [string, string][] {
  assert.ok(flat !== null)
  const list: [string, string][] = []
  for (let i = 0; i < flat.length; i += 2) list.push([flat[i] as string, flat[i + 1] as string])
  return list
}

/** What passes beyond Host and the fields Hive adds. */
function passed(...fields: readonly (readonly [string, string])[]): [string, string][] {
  return sent(...fields).filter(([name]) => name !== 'Host' && !ADDED.includes(name))
}

test('end-to-end fields pass in order, spelling and number', () => {
  const fields: [string, string][] = [
    ['aCCept', 'x/y'],
    ['X-One', '1'],
    ['x-one', '2'],
    ['Content-Length', '3'],
    ['Accept-Language', 'caf\u00e9'],
  ]
  assert.deepEqual(passed(...fields), fields)
})

test('P14 fields nominated by Connection are dropped, before Hive adds its own', () => {
  const connection = `close, X-Foo, Authorization, Content-Length, Host, ${ADDED.join(', ')}`
  const all = sent(['Connection', connection], ['X-Foo', '1'], ['Authorization', 'Basic eA=='], ['Content-Length', '5'])
  assert.deepEqual(all, [
    ['Host', 'h:8020'],
    ['Content-Length', '5'],
    ['X-Forwarded-For', '192.0.2.7'],
    ['X-Forwarded-Proto', 'http'],
    ['X-Forwarded-Host', 'h:8020'],
    ['X-Forwarded-Prefix', '/cocoons/a'],
    ['Via', '1.1 hive'],
  ])
})

test('P13 P15 P16 fields of one connection never pass', () => {
  const names = [
    'Keep-Alive',
    'Proxy-Connection',
    'Proxy-Authorization',
    'TE',
    'Trailer',
    'Upgrade',
    'Transfer-Encoding',
  ]
  const fields = [...names, 'HTTP2-Settings', 'Expect'].map((name): [string, string] => [name, 'x'])
  assert.deepEqual(passed(...fields), [])
})

test('P33 what the client says of its own address is replaced', () => {
  const names = ['X-Forwarded-For', 'x-forwarded-proto', 'X-Forwarded-Host', 'X-Forwarded-Prefix', 'X-Forwarded-Port']
  const fields = [...names, 'Forwarded', 'X-Real-IP', 'X-Hive-Role', 'X_Forwarded_For'].map(
    (name): [string, string] => [name, 'spoofed'],
  )
  assert.deepEqual(
    sent(...fields).filter(([, value]) => value === 'spoofed'),
    [],
  )
})

test('P33 Via is extended, and twenty proxies are a loop', () => {
  const via = new Map(sent(['Via', '1.1 edge'], ['Via', '1.0 other'])).get('Via')
  assert.equal(via, '1.1 edge, 1.0 other, 1.1 hive')
  assert.equal(isLoop(request(['Via', Array(19).fill('1.1 hive').join(', ')])), false)
  assert.equal(isLoop(request(['Via', Array(20).fill('1.1 hive').join(', ')])), true)
})

test('P34 Hive credentials never reach the cocoon, its own do', () => {
  assert.deepEqual(
    passed(
      ['Hive-Token', 'anything'],
      ['Authorization', 'Bearer hive'],
      ['Cookie', 'a=1; hive-cocoon-a=x; b=2; Hive-Cocoon-b=y'],
    ),
    [['Cookie', 'a=1; b=2']],
  )
  assert.deepEqual(passed(['Cookie', 'hive-cocoon-a=x']), [])
  assert.deepEqual(passed(['Authorization', 'Bearer own'], ['Cookie', 'a=1;b="2"']), [
    ['Authorization', 'Bearer own'],
    ['Cookie', 'a=1;b="2"'],
  ])
})

test('P32 names of object members pass as any other', () => {
  const fields: [string, string][] = [
    ['constructor', '1'],
    ['toString', '2'],
  ]
  assert.deepEqual(passed(...fields), fields)
})

const PATH_MODE: OwnOrigins = {
  prefix: '/cocoons/a',
  authority: 'h:8020',
  upstream: '127.0.0.1:3000',
  ports: [3000, 80],
}
const HOST_MODE: OwnOrigins = { ...PATH_MODE, prefix: '', authority: 'a.localhost:8020' }

function answered(own: OwnOrigins, ...fields: readonly (readonly [string, string])[]): [string, string][] {
  return pairs(responseHeaders(200, fields.flat(), own))
}

test('U3 the answer keeps its end-to-end fields and loses those of the connection', () => {
  const fields: [string, string][] = [
    ['Connection', 'X-Secret'],
    ['connection', 'x-other'],
    ['X-Secret', '1'],
    ['X-Other', '1'],
    ['Keep-Alive', 'timeout=5'],
    ['Proxy-Authenticate', 'Basic'],
    ['Upgrade', 'h2c'],
    ['Trailer', 'X'],
    ['Transfer-Encoding', 'chunked'],
    ['X-Kept', '1'],
    ['x-kept', '2'],
  ]
  assert.deepEqual(answered(HOST_MODE, ...fields), [
    ['X-Kept', '1'],
    ['x-kept', '2'],
  ])
})

test('an answer in a transfer coding Hive did not ask for cannot be relayed', () => {
  assert.equal(responseHeaders(200, ['Transfer-Encoding', 'gzip, chunked'], HOST_MODE), null)
})

test('U8 fields for a whole origin are removed in path mode only', () => {
  const fields: [string, string][] = [
    ['Service-Worker-Allowed', '/'],
    ['Clear-Site-Data', '"*"'],
    ['Strict-Transport-Security', 'max-age=1'],
    ['Alt-Svc', 'h2=":443"'],
    ['Public-Key-Pins', 'x'],
    ['NEL', '{}'],
    ['Report-To', '{}'],
  ]
  assert.deepEqual(answered(PATH_MODE, ...fields), [])
  assert.deepEqual(answered(HOST_MODE, ...fields), fields)
})

test('U10 orders to a front server are removed in both modes, Refresh stays', () => {
  const fields: [string, string][] = [
    ['X-Accel-Redirect', '/etc'],
    ['X-Sendfile', '/etc/passwd'],
    ['Refresh', '0;url=//evil'],
  ]
  assert.deepEqual(answered(PATH_MODE, ...fields), [['Refresh', '0;url=//evil']])
  assert.deepEqual(answered(HOST_MODE, ...fields), [['Refresh', '0;url=//evil']])
})

const LOCATIONS: readonly (readonly [given: string, pathMode: string, hostMode: string])[] = [
  ['/login', '/cocoons/a/login', '/login'],
  ['/', '/cocoons/a/', '/'],
  ['/cocoons/a/login', '/cocoons/a/login', '/cocoons/a/login'],
  ['/cocoons/a', '/cocoons/a', '/cocoons/a'],
  ['/cocoons/a?x', '/cocoons/a?x', '/cocoons/a?x'],
  ['/cocoons/ab/x', '/cocoons/a/cocoons/ab/x', '/cocoons/ab/x'],
  ['http://127.0.0.1:3000/x?y', '/cocoons/a/x?y', '/x?y'],
  ['http://127.0.0.1:3000', '/cocoons/a/', '/'],
  ['http://h:8020/x', 'http://h:8020/cocoons/a/x', 'http://h:8020/x'],
  ['https://H:8020/x', 'https://H:8020/cocoons/a/x', 'https://H:8020/x'],
  ['//h:8020/x', '//h:8020/cocoons/a/x', '//h:8020/x'],
  ['http://h:8020/cocoons/a/x', 'http://h:8020/cocoons/a/x', 'http://h:8020/cocoons/a/x'],
  // nginx: the client's name, and the port it listens on: on the host, in a container, or 80.
  ['http://h:3000/x?y', '/cocoons/a/x?y', 'http://h:3000/x?y'],
  ['http://a.localhost:3000/x?y', 'http://a.localhost:3000/x?y', '/x?y'],
  ['http://H/x', '/cocoons/a/x', 'http://H/x'],
  ['//A.localhost:80', '//A.localhost:80', '/'],
  ['https://h/x', 'https://h/x', 'https://h/x'],
  ['http://h:3001/x', 'http://h:3001/x', 'http://h:3001/x'],
  ['http://x.h:3000/', 'http://x.h:3000/', 'http://x.h:3000/'],
  ['next', 'next', 'next'],
  ['?page=2', '?page=2', '?page=2'],
  ['//evil/', '//evil/', '//evil/'],
  ['http://evil/', 'http://evil/', 'http://evil/'],
  ['http://h:8020@evil/', 'http://h:8020@evil/', 'http://h:8020@evil/'],
  ['\\\\evil', '\\\\evil', '\\\\evil'],
  ['/\\evil', '/cocoons/a/\\evil', '/\\evil'],
  ['javascript:alert(1)', 'javascript:alert(1)', 'javascript:alert(1)'],
]
for (const [given, pathMode, hostMode] of LOCATIONS) {
  test(`U6 Location ${given} becomes ${pathMode} in path mode`, () => {
    assert.deepEqual(answered(PATH_MODE, ['Location', given]), [['Location', pathMode]])
    assert.deepEqual(answered(HOST_MODE, ['Location', given]), [['Location', hostMode]])
  })
}

const COOKIES: readonly (readonly [given: string, pathMode: string | null, hostMode: string | null])[] = [
  ['s=1', 's=1', 's=1'],
  ['s=1; Path=/; HttpOnly', 's=1; Path=/cocoons/a/; HttpOnly', 's=1; Path=/; HttpOnly'],
  ['s=1;path=/app', 's=1; Path=/cocoons/a/app', 's=1;path=/app'],
  ['s=1; Path=/cocoons/a/x', 's=1; Path=/cocoons/a/x', 's=1; Path=/cocoons/a/x'],
  ['s=1; Path=/cocoons/ab', 's=1; Path=/cocoons/a/cocoons/ab', 's=1; Path=/cocoons/ab'],
  ['s=1; Path=relative', 's=1', 's=1; Path=relative'],
  ['s=1; Path', 's=1', 's=1; Path'],
  ['s=1; Domain=localhost; Secure', 's=1; Secure', 's=1; Secure'],
  ['s=1; DOMAIN =.x; Path=/; Path=/y', 's=1; Path=/cocoons/a/; Path=/cocoons/a/y', 's=1; Path=/; Path=/y'],
  ['__Host-s=1; Path=/; Secure', null, '__Host-s=1; Path=/; Secure'],
  ['__hOST-s=1; Path=/; Secure', null, '__hOST-s=1; Path=/; Secure'],
  ['hive-cocoon-a=stolen', null, null],
  ['Hive-Cocoon-b=1; Path=/', null, null],
]
for (const [given, pathMode, hostMode] of COOKIES) {
  test(`U7 Set-Cookie ${given} becomes ${pathMode} in path mode, ${hostMode} in host mode`, () => {
    const expected = (value: string | null): [string, string][] => (value === null ? [] : [['Set-Cookie', value]])
    assert.deepEqual(answered(PATH_MODE, ['Set-Cookie', given]), expected(pathMode))
    assert.deepEqual(answered(HOST_MODE, ['Set-Cookie', given]), expected(hostMode))
  })
}
