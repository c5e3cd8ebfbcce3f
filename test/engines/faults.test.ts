import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import { createContainerDriver } from '../../src/runners/container.ts'
import { ALL, randomFrom, SEED, sample } from '../support/crash/seed.ts'
import { until } from '../support/deadline.ts'
import { keepContainers } from '../support/engine-store.ts'
import { type Answer, breakOff, json, openFakeEngine, silence } from '../support/fake-engine.ts'
import { openHive } from '../support/hive.ts'

/** Every call that Hive makes while a cocoon comes, lives and goes. */
const ENDPOINTS = [
  /^GET \/images\//,
  /^POST \/containers\/create/,
  /^HEAD \/containers\/\w+\/archive/,
  /^POST \/containers\/\w+\/start/,
  /^GET \/containers\/(?!json)/,
  /^POST \/containers\/\w+\/wait/,
  /^POST \/containers\/\w+\/stop/,
  /^DELETE \/containers\//,
  /^GET \/containers\/json/,
] as const

const CALL_MS = 600
const text =
  (status: number, body: string): Answer =>
  (response) =>
    void response.writeHead(status).end(body)

const drip: Answer = (response) => {
  response.writeHead(200)
  const timer = setInterval(() => response.write(' '), 50)
  response.on('close', () => clearInterval(timer)).on('error', () => {})
}

const pour: Answer = (response) => {
  const chunk = Buffer.alloc(1 << 20, 0x20)
  let left = 40
  const next = (): void => {
    while (left-- > 0 && !response.destroyed) if (!response.write(chunk)) return void response.once('drain', next)
    response.end()
  }
  response.writeHead(200).on('error', () => {})
  next()
}

/** `before` instead of the effect, else after it. */
const FAULTS: Readonly<Record<string, { readonly answer: Answer; readonly after?: true }>> = {
  'status 500': { answer: json(500, { message: 'boom' }) },
  'status 503': { answer: json(503, { message: 'not now' }) },
  'status 404': { answer: json(404, { message: 'page not found' }) },
  'status 409': { answer: json(409, { message: 'conflict' }) },
  'status 304': { answer: (response) => void response.writeHead(304).end() },
  'truncated JSON': { answer: text(200, '{"Id": "') },
  'an answer cut off': { answer: breakOff(200, '{"Id": "') },
  'the wrong type': { answer: json(200, 7) },
  'more than it may send': { answer: pour },
  'a slow drip': { answer: drip },
  'no answer': { answer: silence },
  'a connection dropped before the effect': { answer: (response) => void response.socket?.destroy() },
  'a connection dropped after the effect': { answer: (response) => void response.socket?.destroy(), after: true },
}
/** The engine said no, as it would to what can never work. */
const NO = /status (?:500|409|304)/

async function openBoth(t: TestContext) {
  const engine = await openFakeEngine(t)
  const store = keepContainers(engine)
  const timeouts = { callMs: CALL_MS, startMs: CALL_MS, stopExtraMs: CALL_MS }
  const driver = createContainerDriver({
    type: 'docker',
    hosts: [engine.host],
    instanceId: 'fault',
    registryAuthFile: null,
    home: null,
    timeouts,
  })
  const kinds = [{ id: 'box', runner_type: 'docker', runner_config: { image: 'localhost/box:1', stop_grace: '1s' } }]
  const hive = await openHive(t, { kinds, drivers: [driver] })
  return { engine, store, hive }
}

const SAMPLES = 4
const titles = Object.keys(FAULTS)
const drawn = new Set(sample(randomFrom(SEED), SAMPLES, titles.length).map((number) => titles[number - 1]))

describe(`an engine with a fault in one call (${ALL ? 'all' : `sample of seed ${SEED}`})`, {
  concurrency: 7,
  timeout: 110_000,
}, () => {
  for (const [title, { answer, after }] of Object.entries(FAULTS)) {
    it(`F34, F35: ${title}: nothing is doubled, lost or left, and all goes on when it is mended`, {
      skip: !ALL && !drawn.has(title) && 'not drawn: npm run test:crash',
    }, async (t) => {
      const { engine, store, hive } = await openBoth(t)
      const record = async (name: string) => (await hive.call('GET', `/services/${name}`)).body
      // Many Hives that start at once may be too slow for the first question.
      await until(async () => (await hive.call('GET', '/kinds/box')).body.available, 20_000, 'the engine is known')
      for (const [index, endpoint] of ENDPOINTS.entries()) {
        const name = `c${index}`
        const fault = engine.fault(endpoint, answer, after === true)
        const spawned = await hive.call('POST', '/spawn', { kind: 'box', name })
        assert.equal(spawned.status, 202, `${endpoint}: ${spawned.text}`)
        await until(
          async () => fault.hits > 0 || (await record(name)).state === 'running',
          10_000,
          `${endpoint} is asked`,
        )
        fault.mend()
        const first = await until(
          async () => {
            const row = await record(name)
            return row.state === 'running' && row.error === null ? row : row.state === 'rejected' ? row : null
          },
          15_000,
          `${endpoint}: ${name} runs`,
        )
        if (first.state === 'rejected') assert.match(title, NO, `${endpoint}: ${JSON.stringify(first.error)}`)
        const second = engine.fault(endpoint, answer, after === true)
        const removal = await hive.call('DELETE', `/services/${name}?wait=none`)
        assert.ok(removal.status === 202 || removal.status === 200, removal.text)
        const isGone = async () => (await hive.call('GET', `/services/${name}`)).status === 410
        await until(async () => second.hits > 0 || (await isGone()), 10_000, `${endpoint} is asked by the removal`)
        second.mend()
        await until(isGone, 15_000, `${endpoint}: ${name} is gone`)
        assert.deepEqual([...store.containers.keys()], [], `${endpoint}: nothing is left`)
        assert.ok(store.mostOfOneService() <= 1, `${endpoint}: never two of one service`)
      }
      assert.doesNotMatch(hive.log(), /"state":"lost"/)
      const unknown = hive
        .log()
        .split('\n')
        .filter((line) => line.includes('a step failed'))
      assert.deepEqual(unknown, [], 'every fault is one that Hive knows')
    })
  }
})
