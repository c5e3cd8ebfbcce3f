import type { FastifyInstance } from 'fastify'
import plugin from 'fastify-plugin'
import type { Logger } from 'pino'
import { EventFeed } from '../src/events/event-feed.ts'
import type { Clock } from '../src/services/context.ts'
import type { StateStore } from '../src/services/table/table.ts'
import type { HiveConfig } from '../src/settings.ts'

declare module 'fastify' {
  interface FastifyInstance {
    events: EventFeed
  }
}

export interface EventsOptions {
  readonly config: HiveConfig
  readonly table: StateStore
  readonly clock: Clock
  readonly log: Logger
}

const PRUNE_EVERY_MS = 60 * 60 * 1000

export default plugin(
  async (app: FastifyInstance, { config, table, clock, log }: EventsOptions) => {
    const warn = (error: unknown) => log.warn({ err: error }, 'events could not be kept')
    const feed = new EventFeed({ store: table, now: () => clock.now(), warn })
    app.decorate('events', feed)
    await feed.prune().catch(warn)
    feed.config(config.warnings)
    const timer = setInterval(() => void feed.prune().catch(warn), PRUNE_EVERY_MS)
    timer.unref()
    app.addHook('onClose', async () => clearInterval(timer))
  },
  { name: 'events' },
)
