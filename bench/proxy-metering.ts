import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import Fastify from 'fastify'
import { Registry } from 'prom-client'
import { Pool } from 'undici'

/**
 * What counting costs the proxy: small GETs over 32 connections through a bare node:http + undici forwarder, the proxy
 * without a meter, and the proxy with the one of /metrics; interleaved in one run, each server in a process of its own.
 *
 *   node bench/proxy-metering.ts [rounds]      (default 7, of 2 s each)
 */

import hostGuard from '../plugins/host-guard.ts'
import problemDetails from '../plugins/problem-details.ts'
import proxy from '../plugins/proxy.ts'
import { serverOptions } from '../src/http/server-options.ts'
import { trafficMetrics } from '../src/metrics/traffic-metrics.ts'
import { TEST_CONFIG, TestRoutes } from '../test/support/proxy-app.ts'

const MODES = ['bare', 'unmetered', 'metered'] as const
const CONNECTIONS = 32
const ROUND_MS = 2_000
const BODY = 'x'.repeat(100)

const [role, argument] = process.argv.slice(2)
if (role === 'upstream') report(await listen(createServer((_request, response) => response.end(BODY))))
else if (role === 'bare') report(await bare(Number(argument)))
else if (role === 'metered' || role === 'unmetered') report(await proxied(Number(argument), role === 'metered'))
else await compare(Number(role ?? 7))

async function compare(rounds: number): Promise<void> {
  const children: ChildProcess[] = []
  const start = async (...argv: string[]) => {
    const child = fork(import.meta.filename, argv)
    children.push(child)
    const [port] = (await once(child, 'message')) as [number]
    return { child, port }
  }
  try {
    const upstream = String((await start('upstream')).port)
    const servers = []
    for (const mode of MODES) servers.push({ mode, ...(await start(mode, upstream)), costs: [] as number[] })
    for (let round = -1; round < rounds; round++)
      for (const { child, port, costs } of servers) {
        const before = await cpuMicros(child)
        const requests = await load(port)
        // The first round is to warm up.
        if (round >= 0) costs.push(((await cpuMicros(child)) - before) / requests)
      }
    const median = (costs: number[]) => costs.sort((a, b) => a - b)[Math.floor(rounds / 2)] ?? Number.NaN
    const figures = servers.map(({ mode, costs }) => [mode, Math.round(median(costs) * 10) / 10] as const)
    console.log(JSON.stringify({ rounds, cpu_us_per_request: Object.fromEntries(figures) }))
  } finally {
    for (const child of children) child.kill()
  }
}

/** On a machine that does other things, too, the CPU time of a request tells more than how many there were. */
async function cpuMicros(child: ChildProcess): Promise<number> {
  child.send('cpu')
  const [micros] = (await once(child, 'message')) as [number]
  return micros
}

/** @returns how many requests were answered. */
async function load(port: number): Promise<number> {
  const request = `GET /cocoons/web/ HTTP/1.1\r\nhost: 127.0.0.1:${port}\r\n\r\n`
  const until = performance.now() + ROUND_MS
  let done = 0
  const clients = Array.from({ length: CONNECTIONS }, async () => {
    const socket = connect(port, '127.0.0.1')
    let text = ''
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1')
      if (!text.endsWith(BODY)) return
      text = ''
      done += 1
      if (performance.now() < until) socket.write(request)
      else socket.destroy()
    })
    socket.write(request)
    await once(socket, 'close')
  })
  await Promise.all(clients)
  return done
}

async function bare(upstream: number): Promise<number> {
  const pool = new Pool(`http://127.0.0.1:${upstream}`)
  const forward = createServer(async (request, response) => {
    const answer = await pool.request({ path: request.url ?? '/', method: 'GET' })
    response.writeHead(answer.statusCode, answer.headers as Record<string, string>)
    answer.body.pipe(response)
  })
  return listen(forward)
}

async function proxied(upstream: number, isMetered: boolean): Promise<number> {
  const routes = new TestRoutes()
  routes.open('web', upstream)
  const app = Fastify({ ...serverOptions(TEST_CONFIG), logger: false })
  await app.register(problemDetails)
  await app.register(hostGuard, { config: TEST_CONFIG })
  if (isMetered) app.decorate('metrics', { traffic: trafficMetrics(new Registry(), (kind) => kind) } as never)
  await app.register(proxy, { routes, config: TEST_CONFIG, verifyToken: () => false, token: null })
  await app.listen({ host: '127.0.0.1', port: 0 })
  return (app.server.address() as AddressInfo).port
}

async function listen(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return (server.address() as AddressInfo).port
}

function report(port: number): void {
  process.on('message', () => {
    const { user, system } = process.cpuUsage()
    process.send?.(user + system)
  })
  process.send?.(port)
}
