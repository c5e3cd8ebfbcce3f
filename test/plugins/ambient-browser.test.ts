import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { test } from 'node:test'
import { chromium } from 'playwright-core'
import { openHive } from '../support/hive.ts'
import { HTTPD } from '../support/script-bench.ts'

const CHROMIUM = '/usr/bin/chromium'
const FLAGS = ['--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-background-networking', '--disable-sync']
const missing = !existsSync(CHROMIUM) && process.env['HIVE_TEST_ENGINES'] !== 'required'
const skip = missing ? `${CHROMIUM} is not there` : false

/** Runs in the cocoon's page: tries the control API with whatever a browser adds by itself, and says what came of it. */
const ATTACK = `(async (base) => {
  document.cookie = 'token=x; path=/'
  document.cookie = 'authorization=Bearer x; path=/'
  const json = { 'content-type': 'application/json' }
  const body = JSON.stringify({ kind: 'web', name: 'stolen' })
  const tries = [
    ['/services'], ['/services/page'], ['/services/page/logs'], ['/kinds'], ['/metrics'], ['/events'], ['/exposed'],
    ['/spawn', { method: 'POST', headers: json, body }],
    ['/spawn', { method: 'POST', headers: { 'content-type': 'text/plain' }, body }],
    ['/spawn', { method: 'POST', body: new URLSearchParams({ kind: 'web' }) }],
    ['/services/page', { method: 'DELETE' }],
    ['/services/page/stop', { method: 'POST' }],
  ]
  const seen = []
  for (const [path, init] of tries)
    for (const mode of ['cors', 'no-cors']) {
      if (mode === 'no-cors' && init !== undefined && init.method === 'DELETE') continue
      const answer = await fetch(base + path, { ...init, mode, credentials: 'include' }).catch(() => null)
      seen.push(answer === null ? 'refused' : answer.type === 'opaque' ? 'opaque' : String(answer.status))
    }
  const opens = (make, on) => new Promise((resolve) => {
    const channel = make()
    channel.addEventListener('open', () => resolve('open'))
    channel.addEventListener(on, () => resolve('refused'))
  })
  seen.push(await opens(() => new EventSource(base + '/events', { withCredentials: true }), 'error'))
  seen.push(await opens(() => new WebSocket(base.replace('http', 'ws') + '/events'), 'error'))
  const form = document.createElement('form')
  const frame = document.createElement('iframe')
  frame.name = 'target'
  Object.assign(form, { method: 'post', action: base + '/spawn', target: 'target', enctype: 'text/plain' })
  document.body.append(frame, form)
  const loaded = new Promise((resolve) => { frame.onload = resolve })
  form.submit()
  await loaded
  return { seen, stored: [Object.keys(localStorage).length, Object.keys(sessionStorage).length] }
})`

test('U9 a page of a cocoon gets nothing of the control API by ambient credentials, in path and host mode', {
  skip,
}, async (t) => {
  const first = 26_000 + Math.floor(Math.random() * 90) * 10
  const script = { command: process.execPath, args: [HTTPD], port: 8080 }
  const kinds = [{ id: 'web', runner_type: 'script', runner_config: script }]
  const hive = await openHive(t, { kinds, env: { HIVE_PORT_RANGE: `${first}-${first + 9}` } })
  await hive.spawn({ kind: 'web', name: 'page' })
  const browser = await chromium.launch({ executablePath: CHROMIUM, args: FLAGS })
  t.after(() => browser.close())
  const page = await (await browser.newContext()).newPage()
  const control = `http://localhost:${hive.port}`
  // The user reads the documents before: what their page keeps is within reach in path mode.
  await page.goto(`${control}/docs/`)
  for (const [address, harmless] of [
    [`${control}/cocoons/page/`, ['401', 'refused']],
    [`http://page.localhost:${hive.port}/`, ['opaque', 'refused']],
  ] as const) {
    await page.goto(address)
    const { seen, stored } = (await page.evaluate(`${ATTACK}(${JSON.stringify(control)})`)) as {
      seen: string[]
      stored: number[]
    }
    assert.deepEqual([...new Set(seen)].sort(), harmless, address)
    assert.deepEqual(stored, [0, 0])
  }
  const { body } = await hive.call('GET', '/services')
  assert.deepEqual(
    body.services.map(({ name, state }: Record<string, unknown>) => [name, state]),
    [['page', 'running']],
  )
})
