import { join } from 'node:path'
import type { FastifyInstance } from 'fastify'
import plugin from 'fastify-plugin'
import type { Logger } from 'pino'
import { LogKeeper } from '../src/logs/log-keeper.ts'
import type { Clock } from '../src/services/context.ts'
import type { HiveConfig } from '../src/settings.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** What cocoons write. */
    logs: LogKeeper
  }
}

export interface LogsOptions {
  readonly config: HiveConfig
  readonly clock: Clock
  readonly log: Logger
}

export default plugin(
  async (app: FastifyInstance, { config, clock, log }: LogsOptions) => {
    const logs = new LogKeeper({
      directory: join(config.stateDir, 'logs'),
      now: () => clock.now(),
      warn: (id, error) => log.warn({ id, err: error }, 'the output of this cocoon cannot be read or kept just now'),
    })
    app.decorate('logs', logs)
    app.addHook('onClose', () => logs.close())
  },
  { name: 'logs' },
)
