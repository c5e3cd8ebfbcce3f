import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { type Browser, chromium, type Page } from 'playwright-core'
import { startPage } from '../support/fixtures/proxy-page.ts'
import { startProxyApp } from '../support/proxy-app.ts'

const CHROMIUM = '/usr/bin/chromium'
const FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
]
const missing = !existsSync(CHROMIUM)
const skip = missing && process.env['HIVE_TEST_ENGINES'] !== 'required' ? `${CHROMIUM} is not there` : false

let browser: Browser | null = null
let shots = ''
before(async () => {
  if (skip !== false) return
  shots = await mkdtemp(join(tmpdir(), 'hive-browser-'))
  browser = await chromium.launch({ executablePath: CHROMIUM, args: FLAGS })
})
after(async () => {
  // A browser that hangs, as it was seen to, must fail this file and not hold up the whole run.
  const late = setTimeout(() => process.exit(1), 20_000)
  await browser?.close()
  clearTimeout(late)
  // Kept only when somebody wants to look at what the browser showed.
  if (shots !== '' && process.env['HIVE_TEST_KEEP'] === undefined) await rm(shots, { recursive: true })
})

async function openPage(url: string): Promise<Page> {
  assert.ok(browser !== null)
  const context = await browser.newContext()
  const page = await context.newPage()
  await page.goto(url)
  return page
}

/** Waits until the page has reported each part, and gives the reports. */
async function resultsOf(page: Page): Promise<unknown> {
  await page.waitForFunction('Object.keys(window.results ?? {}).length >= 4', null, { timeout: 10_000 })
  return page.evaluate('window.results')
}

const WORKING = {
  fetch: 'answer of /api/data?x=%2f',
  redirect: 'answer of /landed',
  websocket: 'echo echo of hello',
  events: 'an event',
}

test('a browser opens a cocoon by host: fetch, redirect, WebSocket and EventSource work', { skip }, async (t) => {
  const { routes, port } = await startProxyApp(t)
  routes.open('demo', await startPage(t))
  const page = await openPage(`http://demo.localhost:${port}/`)
  assert.deepEqual(await resultsOf(page), WORKING)
  await page.screenshot({ path: join(shots, 'host-mode.png') })
  const [cookie] = await page.context().cookies()
  assert.deepEqual([cookie?.domain, cookie?.path], ['demo.localhost', '/'])
})

test('a browser opens a cocoon by path: everything stays below the prefix', { skip }, async (t) => {
  const { routes, port } = await startProxyApp(t)
  routes.open('demo', await startPage(t))
  const page = await openPage(`http://localhost:${port}/cocoons/demo`)
  assert.equal(page.url(), `http://localhost:${port}/cocoons/demo/`)
  assert.deepEqual(await resultsOf(page), WORKING)
  await page.screenshot({ path: join(shots, 'path-mode.png') })
  const [cookie] = await page.context().cookies()
  assert.deepEqual([cookie?.domain, cookie?.path], ['localhost', '/cocoons/demo/'])
})

test('W3 a page of one cocoon cannot fetch from or upgrade to another', { skip }, async (t) => {
  const { routes, port } = await startProxyApp(t)
  routes.open('one', await startPage(t))
  routes.open('two', await startPage(t))
  const page = await openPage(`http://one.localhost:${port}/`)
  await resultsOf(page)
  const opened = await page.evaluate(
    `new Promise((resolve) => {
      const socket = new WebSocket('ws://two.localhost:${port}/socket')
      socket.onopen = () => resolve('open')
      socket.onerror = () => resolve('refused')
    })`,
  )
  const fetched = page.waitForResponse((response) => response.url().startsWith('http://two.localhost'))
  await page.evaluate(`fetch('http://two.localhost:${port}/api/data', { mode: 'no-cors' }).catch(() => null)`)
  assert.equal((await fetched).status(), 403)
  assert.equal(opened, 'refused')
})

test('a browser that visits a cocoon which is not ready gets a page that asks again and then shows it', {
  skip,
}, async (t) => {
  const { routes, port } = await startProxyApp(t)
  const backend = await startPage(t)
  routes.set('demo', { answer: 'waiting', retryAfterS: 1, state: 'starting' })
  const page = await openPage(`http://demo.localhost:${port}/`)
  assert.equal(await page.textContent('h1'), 'The cocoon is not ready')
  await page.screenshot({ path: join(shots, 'not-ready.png') })
  // The page's own style must not be stopped by its own policy.
  assert.equal(await page.evaluate('getComputedStyle(document.body).fontFamily'), 'system-ui, sans-serif')
  routes.open('demo', backend)
  await page.waitForSelector('#seen', { timeout: 10_000, state: 'attached' })
})
