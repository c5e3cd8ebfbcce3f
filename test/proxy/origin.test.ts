import assert from 'node:assert/strict'
import type { IncomingMessage } from 'node:http'
import { test } from 'node:test'
import { refuseOrigin } from '../../src/proxy/origin.ts'

interface Case {
  readonly title: string
  readonly headers: Readonly<Record<string, string>>
  readonly method?: string
  readonly allow?: readonly string[]
  readonly upgrade?: boolean
  readonly refused: boolean
}

const OWN = 'a.localhost:8020'
const NAVIGATE = { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document' }

const CASES: readonly Case[] = [
  { title: 'W3 an upgrade without Origin passes', headers: {}, upgrade: true, refused: false },
  {
    title: 'W3 an upgrade of its own page passes',
    headers: { origin: `http://${OWN}` },
    upgrade: true,
    refused: false,
  },
  { title: 'W3 an upgrade behind TLS passes', headers: { origin: `https://${OWN}` }, upgrade: true, refused: false },
  {
    title: 'W3 an upgrade of another site is refused',
    headers: { origin: 'http://evil' },
    upgrade: true,
    refused: true,
  },
  { title: 'W3 an upgrade of Origin null is refused', headers: { origin: 'null' }, upgrade: true, refused: true },
  {
    title: 'W3 an upgrade of a sibling cocoon is refused',
    headers: { origin: 'http://b.localhost:8020', 'sec-fetch-site': 'same-site' },
    upgrade: true,
    refused: true,
  },
  {
    title: 'W3 an upgrade of the same host on another port is refused',
    headers: { origin: 'http://a.localhost:8021' },
    upgrade: true,
    refused: true,
  },
  {
    title: 'W3 an upgrade of an allowed origin passes',
    headers: { origin: 'https://App.example', 'sec-fetch-site': 'cross-site' },
    allow: ['https://app.example'],
    upgrade: true,
    refused: false,
  },
  { title: 'a request that says nothing of its site passes', headers: { origin: 'http://evil' }, refused: false },
  { title: 'a request of its own page passes', headers: { 'sec-fetch-site': 'same-origin' }, refused: false },
  { title: 'a cross-site visit of the top level passes', headers: NAVIGATE, refused: false },
  { title: 'a cross-site POST of a form is refused', headers: NAVIGATE, method: 'POST', refused: true },
  {
    title: 'a cross-site frame is refused',
    headers: { ...NAVIGATE, 'sec-fetch-dest': 'iframe' },
    refused: true,
  },
  {
    title: 'a cross-site fetch is refused',
    headers: { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'cors', origin: 'http://evil' },
    refused: true,
  },
  {
    title: 'a cross-site fetch of an allowed origin passes',
    headers: { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'cors', origin: 'http://friend' },
    allow: ['http://friend'],
    refused: false,
  },
  {
    title: 'a star allows every origin',
    headers: { 'sec-fetch-site': 'cross-site', origin: 'null' },
    allow: ['*'],
    refused: false,
  },
]

for (const { title, headers, method = 'GET', allow = [], upgrade = false, refused } of CASES) {
  test(title, () => {
    const req = { headers, method } as unknown as IncomingMessage
    const error = refuseOrigin(req, { authority: OWN, allowOrigins: allow, upgrade })
    assert.equal(error?.code, refused ? 'HIVE_FORBIDDEN' : undefined)
  })
}

test('default ports are the same with and without their number', () => {
  const check = (origin: string, authority: string): boolean =>
    refuseOrigin({ headers: { origin } } as IncomingMessage, { authority, allowOrigins: [], upgrade: true }) === null
  assert.equal(check('http://h', 'h:80'), true)
  assert.equal(check('https://h:443', 'H'), true)
  assert.equal(check('https://h', 'h:80'), false)
})
