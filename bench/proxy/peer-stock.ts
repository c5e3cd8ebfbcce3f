import httpProxy from '@fastify/http-proxy'
import Fastify from 'fastify'

/** @fastify/http-proxy with its own defaults, WebSockets on. */

const [port, upstream] = process.argv.slice(2)
const app = Fastify({ logger: false })
await app.register(httpProxy, { upstream: `http://127.0.0.1:${upstream}`, prefix: '/', websocket: true })
await app.listen({ host: '127.0.0.1', port: Number(port) })
