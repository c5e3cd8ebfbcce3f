import type { FastifyInstance } from 'fastify'
import plugin from 'fastify-plugin'
import { Connections } from '../src/http/connections.ts'
import { Descriptors } from '../src/http/descriptors.ts'

export interface ConnectionsOptions {
  readonly descriptors?: Descriptors
}

declare module 'fastify' {
  interface FastifyInstance {
    /** Room for connections of both planes and for what they make Hive open. */
    descriptors: Descriptors
    connections: Connections
  }
}

const QUIET_MS = 10_000

/** Watches over the listener's connections. Other listeners join with `connections.watch`. */
export default plugin(
  async (app: FastifyInstance, options: ConnectionsOptions) => {
    const descriptors = options.descriptors ?? new Descriptors()
    let saidAt = Number.NEGATIVE_INFINITY
    const connections = new Connections(descriptors, () => {
      if (performance.now() - saidAt < QUIET_MS) return
      saidAt = performance.now()
      app.log.warn(
        { connections: connections.count },
        'connections are refused: too few file descriptors are left (ulimit -n)',
      )
    })
    connections.watch(app.server)
    app.decorate('descriptors', descriptors).decorate('connections', connections)
  },
  { name: 'connections' },
)
