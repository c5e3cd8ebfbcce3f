import type { FastifyInstance } from 'fastify'
import plugin from 'fastify-plugin'
import { createMetrics, type Metrics } from '../src/metrics/metrics.ts'

declare module 'fastify' {
  interface FastifyInstance {
    metrics: Metrics
  }
}

/** Counts from the first service on: registered before the services, which it reads only when asked. */
export default plugin(
  async (app: FastifyInstance) => {
    const metrics = createMetrics({
      kinds: app.kinds.keys(),
      services: () => app.services.rows(),
      signaling: () => app.signaling?.status().state ?? 'off',
      runners: () => [...app.runners.drivers.keys()].map((runner) => app.runners.state(runner)),
    })
    app.decorate('metrics', metrics)
    app.addHook('onClose', async () => metrics.close())
  },
  { name: 'metrics', dependencies: ['kinds'] },
)
