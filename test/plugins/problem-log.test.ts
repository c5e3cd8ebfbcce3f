import assert from 'node:assert/strict'
import type { AddressInfo } from 'node:net'
import { Writable } from 'node:stream'
import { test } from 'node:test'
import Fastify from 'fastify'
import connections from '../../plugins/connections.ts'
import hostGuard from '../../plugins/host-guard.ts'
import problemDetails from '../../plugins/problem-details.ts'
import proxy from '../../plugins/proxy.ts'
import { HiveError } from '../../src/errors.ts'
import { serverOptions } from '../../src/http/server-options.ts'
import { TEST_CONFIG, TestRoutes } from '../support/proxy-app.ts'
import { exchangeRaw, get, parseAnswer } from '../support/raw-http.ts'

test('an answer of 500 and more is logged under the id that the client was told; what a client did wrong is not', async (t) => {
  const lines: { readonly reqId?: string; readonly code?: string }[] = []
  const stream = new Writable({
    write(chunk: Buffer, _encoding, done) {
      lines.push(JSON.parse(chunk.toString()))
      done()
    },
  })
  const app = Fastify({ ...serverOptions(TEST_CONFIG), logger: { level: 'warn', stream } })
  t.after(() => app.close())
  await app.register(problemDetails)
  await app.register(connections)
  await app.register(hostGuard, { config: TEST_CONFIG })
  await app.register(proxy, { routes: new TestRoutes(), config: TEST_CONFIG, verifyToken: () => false, token: null })
  app.get('/control', async () => {
    throw new HiveError('HIVE_STORE_FAILED', 'planted')
  })
  await app.listen({ host: '127.0.0.1', port: 0 })
  const { port } = app.server.address() as AddressInfo
  for (const path of ['/cocoons/demo/', '/control']) {
    const request = `GET ${path} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n`
    assert.equal(parseAnswer(await exchangeRaw(t, port, request)).status, 501)
  }
  const { status, body } = parseAnswer(await exchangeRaw(t, port, get('/control')))
  assert.equal(status, 503)
  const { instance } = JSON.parse(body) as { readonly instance: string }
  assert.deepEqual(
    lines.map(({ code, reqId }) => [code, reqId]),
    [['HIVE_STORE_FAILED', instance]],
  )
})
