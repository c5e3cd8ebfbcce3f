import type { FastifyInstance } from 'fastify'
import plugin from 'fastify-plugin'
import { measuredDriver } from '../src/metrics/measured-driver.ts'
import { createDrivers } from '../src/runners/create-drivers.ts'
import type { RunnerDriver } from '../src/runners/driver.ts'
import { RunnerSet } from '../src/runners/runner-set.ts'
import type { HiveConfig } from '../src/settings.ts'

declare module 'fastify' {
  interface FastifyInstance {
    runners: RunnerSet
  }
}

export interface RunnersOptions {
  readonly config: HiveConfig
  readonly instanceId: string
  /** Tests bring their own. */
  readonly drivers?: readonly RunnerDriver[] | undefined
}

/** How long the listener waits for runners: an engine that is well answers in less, one that hangs never does. */
const PATIENCE_MS = 1_000

/** Asks every runner once before the listener opens; closed after the services, which still need them. */
export default plugin(
  async (app: FastifyInstance, options: RunnersOptions) => {
    const onWarning = (message: string) => app.log.warn(message)
    const drivers = (options.drivers ?? createDrivers({ ...options, onWarning })).map((driver) =>
      measuredDriver(driver, app.metrics.runnerCall),
    )
    const runners = new RunnerSet(drivers, ({ runner, available, reason }) => {
      app.log.info({ runner, available, ...(reason !== null && { reason }) }, 'runner')
    })
    app.decorate('runners', runners)
    app.addHook('onClose', () => runners.close())
    await runners.start(PATIENCE_MS)
  },
  { name: 'runners', dependencies: ['metrics'] },
)
