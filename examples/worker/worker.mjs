#!/usr/bin/env node
// The example worker of Hive: a plain Node program without dependencies, to be run as a `script` kind.
//
//   /            a page that names the cocoon and tries out the rest; its links are relative, so any path prefix will do
//   /echo        the request as JSON: method, url, headers, body
//   /sse         server-sent events, one per 500 ms
//   /ws          WebSocket echo
//   /exit?code=n ends with that code     /health 200 as long as it runs
//
// It listens on 127.0.0.1:$PORT, ends within a second of TERM, and never shows its environment beyond name and kind.
// With SIGNALING_SERVER_URL and COCOON_SETUP_TOKEN it also registers with that server (see signaling.mjs).
import { createServer } from 'node:http'
import { page } from './page.mjs'
import { joinSignaling } from './signaling.mjs'
import { acceptWebSocket, closeWebSocket } from './websocket.mjs'

const BODY_LIMIT_BYTES = 1024 * 1024
const SSE_INTERVAL_MS = 500
const END_AFTER_MS = 700

const routes = {
  '/': (_request, response) => send(response, 200, 'text/html; charset=utf-8', page(whoAmI())),
  '/health': (_request, response) => sendJson(response, 200, { status: 'ok', uptime_s: Math.round(process.uptime()) }),
  '/echo': echo,
  '/sse': streamEvents,
  '/exit': exitWithCode,
}

/** Functions that end what would not end by itself: event streams and WebSockets. */
const open = new Set()

function startWorker(port) {
  const server = createServer((request, response) => {
    const route = Object.hasOwn(routes, pathOf(request)) ? routes[pathOf(request)] : notFound
    route(request, response)
  })
  server.on('upgrade', (request, socket, head) => {
    socket.on('error', () => socket.destroy())
    socket.on('end', () => socket.end())
    if (pathOf(request) !== '/ws') {
      socket.end('HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 0\r\n\r\n')
      return
    }
    acceptWebSocket(request, socket, head)
    endWithUs(socket, () => closeWebSocket(socket, 1001))
  })
  return server.listen(port, '127.0.0.1')
}

function endWithUs(stream, end) {
  open.add(end)
  stream.on('close', () => open.delete(end))
}

function main() {
  const port = Number(process.env['PORT'])
  if (!Number.isInteger(port) || port < 1 || port > 65_535) {
    console.error('The example worker needs a port to listen on: set PORT')
    process.exit(64)
  }
  const server = startWorker(port)
  server.on('error', (error) => {
    console.error(`Port ${port} cannot be used: ${error.code}`)
    process.exit(1)
  })
  server.on('listening', () => console.log(`${whoAmI().name} listens on 127.0.0.1:${port}`))
  const signaling = startSignaling()
  for (const signal of ['SIGTERM', 'SIGINT']) process.once(signal, () => endGracefully(server, signaling, signal))
}

function startSignaling() {
  const { SIGNALING_SERVER_URL: url, COCOON_SETUP_TOKEN: setupToken, COCOON_SECRET: secret } = process.env
  if (!url || !setupToken || !secret) return null
  if (typeof WebSocket === 'undefined') {
    console.error('This Node has no WebSocket client (it takes 22 or later): not registering for signaling')
    return null
  }
  return joinSignaling({ url, setupToken, secret, name: whoAmI().name }, (code, why) => {
    console.log(`${why}: ending with ${code}`)
    process.exit(code)
  })
}

async function endGracefully(server, signaling, signal) {
  console.log(`${signal}: ending`)
  await signaling?.goodbye()
  server.close(() => process.exit(0))
  for (const end of open) end()
  // Connections become idle as their last answer ends.
  setInterval(() => server.closeIdleConnections(), 20).unref()
  // A client that does not let go must not keep it alive.
  setTimeout(() => process.exit(0), END_AFTER_MS).unref()
}

function whoAmI() {
  return { name: process.env['COCOON_NAME'] || 'example worker', kind: process.env['COCOON_KIND'] || 'example' }
}

async function echo(request, response) {
  const chunks = []
  let kept = 0
  let total = 0
  try {
    for await (const chunk of request) {
      total += chunk.length
      if (kept < BODY_LIMIT_BYTES) chunks.push(chunk.subarray(0, BODY_LIMIT_BYTES - kept))
      kept = Math.min(BODY_LIMIT_BYTES, kept + chunk.length)
    }
  } catch {
    // The client went away in the middle of its body: there is nobody to answer.
    response.destroy()
    return
  }
  const { method, url, headers } = request
  sendJson(response, 200, { method, url, headers, body: Buffer.concat(chunks).toString('utf8'), body_bytes: total })
}

function streamEvents(request, response) {
  let id = Number(request.headers['last-event-id'] ?? 0) || 0
  response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' })
  const tick = () => {
    id += 1
    // A client that does not read is skipped, not buffered for.
    if (!response.writableNeedDrain) response.write(`id: ${id}\nevent: tick\ndata: ${new Date().toISOString()}\n\n`)
  }
  tick()
  const timer = setInterval(tick, SSE_INTERVAL_MS)
  response.on('close', () => clearInterval(timer))
  endWithUs(response, () => response.end())
}

function exitWithCode(request, response) {
  const code = Number(new URL(request.url, 'http://worker').searchParams.get('code') ?? 0)
  if (!Number.isInteger(code) || code < 0 || code > 255) {
    sendJson(response, 400, { error: 'code must be a number from 0 to 255' })
    return
  }
  response.on('close', () => process.exit(code))
  response.setHeader('connection', 'close')
  sendJson(response, 200, { exiting_with: code })
}

function notFound(_request, response) {
  sendJson(response, 404, { error: 'there is nothing here', try: Object.keys(routes) })
}

function sendJson(response, status, value) {
  send(response, status, 'application/json', `${JSON.stringify(value, null, 2)}\n`)
}

function send(response, status, type, body) {
  response.writeHead(status, { 'content-type': type, 'content-length': Buffer.byteLength(body) })
  response.end(body)
}

function pathOf(request) {
  return request.url.split('?', 1)[0]
}

main()
