import type { FastifyInstance } from 'fastify'
import plugin from 'fastify-plugin'
import type { Logger } from 'pino'
import type { Clock } from '../src/services/context.ts'
import { createVault } from '../src/services/table/vault.ts'
import type { HiveConfig } from '../src/settings.ts'
import { Signaling } from '../src/signaling/signaling.ts'
import type { SignalingTimings } from '../src/signaling/timings.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** null = off: it takes SIGNALING_SERVER_URL and HIVE_SECRET. */
    readonly signaling: Signaling | null
  }
}

export interface SignalingOptions {
  readonly config: HiveConfig
  readonly version: string
  readonly masterKey: Buffer
  readonly clock: Clock
  readonly log: Logger
  readonly timings?: Partial<SignalingTimings> | undefined
}

/** Registers with the signaling server once Hive listens, and leaves it before Hive's own doors close. */
export default plugin(
  async (app: FastifyInstance, options: SignalingOptions) => {
    const signaling = createSignaling(app, options)
    app.decorate('signaling', signaling)
    if (signaling === null) return
    let said = signaling.status().state
    signaling.onChange(() => {
      const { state } = signaling.status()
      if (state !== said) app.events.signaling(state)
      said = state
    })
    app.addHook('onListen', async () => signaling.start())
    app.addHook('preClose', async () => signaling.close())
  },
  { name: 'signaling', dependencies: ['kinds', 'runners', 'events', 'services'] },
)

function createSignaling(app: FastifyInstance, options: SignalingOptions): Signaling | null {
  const { config, version, clock, log, timings } = options
  const { signalingUrl: url, hiveSecret: secret, signalingProtocol, hiveId, maxCocoons } = config
  if (url === null || secret === null) return null
  return new Signaling({
    ...{ url, secret, hiveId, version, maxCocoons, clock, log },
    ...(timings && { timings }),
    generation: signalingProtocol,
    kinds: [...app.kinds.values()],
    isAvailable: (kind) => app.runners.describe(kind).available,
    supervisor: app.supervisor,
    view: app.services,
    documents: app.serviceTable,
    vault: createVault(options.masterKey),
  })
}
