import type { FastifyInstance } from 'fastify'
import plugin from 'fastify-plugin'
import type { RunnerDriver } from '../src/runners/driver.ts'
import { RunnerSet } from '../src/runners/runner-set.ts'

declare module 'fastify' {
  interface FastifyInstance {
    runners: RunnerSet
  }
}

/** Asks every runner once before the listener opens; closed after the services, which still need them. */
export default plugin(
  async (app: FastifyInstance, options: { readonly drivers: readonly RunnerDriver[] }) => {
    const runners = new RunnerSet(options.drivers, ({ runner, available, reason }) => {
      app.log.info({ runner, available, ...(reason !== null && { reason }) }, 'runner')
    })
    app.decorate('runners', runners)
    app.addHook('onClose', () => runners.close())
    await runners.start()
  },
  { name: 'runners' },
)
