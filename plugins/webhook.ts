import { setTimeout as delay } from 'node:timers/promises'
import type { FastifyInstance } from 'fastify'
import plugin from 'fastify-plugin'
import type { Logger } from 'pino'
import { runWebhook } from '../src/events/webhook.ts'
import type { Clock } from '../src/services/context.ts'
import type { HiveConfig } from '../src/settings.ts'

export interface WebhookPluginOptions {
  readonly config: HiveConfig
  readonly clock: Clock
  readonly log: Logger
}

const RETRY_MS = 5_000

export default plugin(
  async (app: FastifyInstance, { config, clock, log }: WebhookPluginOptions) => {
    const { webhookUrl: url, webhookSecret: secret } = config
    if (url === null || secret === null) return
    let trouble: string | null = null
    const say = (now: string | null) => {
      if (now !== null && trouble === null) log.warn({ reason: now }, 'the webhook does not take events; trying again')
      if (now === null && trouble !== null) log.info('the webhook takes events again')
      trouble = now
    }
    const options = { url, secret, feed: app.events, store: app.serviceTable, now: () => clock.now(), say }
    const stop = new AbortController()
    const { signal } = stop
    const running = (async () => {
      while (!signal.aborted) {
        await runWebhook(options, signal).catch((err: unknown) => {
          if (!signal.aborted) log.warn({ err }, 'the webhook could not go on; it begins again where it was')
        })
        await delay(RETRY_MS, undefined, { signal }).catch(() => undefined) // told to stop
      }
    })()
    app.addHook('onClose', async () => {
      stop.abort()
      await running
    })
  },
  { name: 'webhook', dependencies: ['services', 'events'] },
)
