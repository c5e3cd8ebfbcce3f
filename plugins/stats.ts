import type { FastifyInstance } from 'fastify'
import plugin from 'fastify-plugin'
import type { Clock } from '../src/services/context.ts'
import { runsAttempt, statsSubjects } from '../src/stats/stats-duty.ts'
import { StatsKeeper } from '../src/stats/stats-keeper.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** What cocoons use. */
    stats: StatsKeeper
  }
}

export interface StatsOptions {
  readonly clock: Clock
  /** Tests bring a shorter one. */
  readonly intervalMs?: number | undefined
}

/** Before the services, which ask it for the last sample of what ends; it looks at them only when it measures. */
export default plugin(
  async (app: FastifyInstance, { clock, intervalMs }: StatsOptions) => {
    const stats = new StatsKeeper({
      subjects: () => statsSubjects(app.services, app.runners.drivers),
      runs: (id, attempt) => runsAttempt(app.services, id, attempt),
      now: () => clock.now(),
      ...(intervalMs !== undefined && { intervalMs }),
    })
    app.decorate('stats', stats)
    app.addHook('onReady', async () => stats.start())
    app.addHook('onClose', () => stats.close())
  },
  { name: 'stats', dependencies: ['runners'] },
)
