import { randomUUID } from 'node:crypto'
import fastify, { type FastifyInstance, LogController } from 'fastify'
import type { Logger } from 'pino'
import auth from '../plugins/auth.ts'
import connections from '../plugins/connections.ts'
import cors from '../plugins/cors.ts'
import events from '../plugins/events.ts'
import hostGuard from '../plugins/host-guard.ts'
import kinds from '../plugins/kinds.ts'
import logs from '../plugins/logs.ts'
import metrics from '../plugins/metrics.ts'
import openapi from '../plugins/openapi.ts'
import problemDetails, { answerFrameworkError } from '../plugins/problem-details.ts'
import proxy from '../plugins/proxy.ts'
import runners from '../plugins/runners.ts'
import services from '../plugins/services.ts'
import signaling from '../plugins/signaling.ts'
import stats from '../plugins/stats.ts'
import strictJson from '../plugins/strict-json.ts'
import tracing, { traceRoutes } from '../plugins/tracing.ts'
import waits from '../plugins/waits.ts'
import webhook from '../plugins/webhook.ts'
import changeRoutes from '../routes/changes.ts'
import documentRoutes from '../routes/documents.ts'
import eventRoutes from '../routes/events.ts'
import exposedRoutes from '../routes/exposed.ts'
import healthRoutes from '../routes/health.ts'
import kindRoutes from '../routes/kinds.ts'
import lifeRoutes from '../routes/life.ts'
import logRoutes from '../routes/logs.ts'
import metricsRoutes from '../routes/metrics.ts'
import orphanRoutes from '../routes/orphans.ts'
import postMortemRoutes from '../routes/post-mortem.ts'
import serviceRoutes from '../routes/services.ts'
import spawnRoutes from '../routes/spawn.ts'
import statsRoutes from '../routes/stats.ts'
import { serverOptions } from './http/server-options.ts'
import type { RunnerDriver } from './runners/driver.ts'
import type { Clock } from './services/context.ts'
import type { StateDirectory } from './services/table/state-directory.ts'
import type { StateStore } from './services/table/table.ts'
import type { HiveConfig } from './settings.ts'
import type { SignalingTimings } from './signaling/timings.ts'

export interface AppParts {
  readonly config: HiveConfig
  readonly state: StateDirectory
  readonly table: StateStore
  readonly log: Logger
  readonly version: string
  readonly clock?: Clock
  readonly drivers?: readonly RunnerDriver[]
  /** Tests bring shorter ones. */
  readonly signalingTimings?: Partial<SignalingTimings>
  readonly statsIntervalMs?: number
}

const SYSTEM_CLOCK: Clock = { now: () => new Date() }

/** Puts Hive together, in order: the table of contents. Does not listen. */
export async function buildApp(parts: AppParts): Promise<FastifyInstance> {
  const { config, state, table, log, version, clock = SYSTEM_CLOCK } = parts
  const app = fastify({
    ...serverOptions(config),
    loggerInstance: log,
    // Lifecycle changes are logged, requests are not: a proxy would log little else.
    logController: new LogController({ disableRequestLogging: true }),
    // So nobody needs a logger for each of them, which with its redaction costs a twentieth of a proxied request.
    childLoggerFactory: (logger) => logger,
    genReqId: () => randomUUID(),
    frameworkErrors: answerFrameworkError,
    // Fastify's own answer to requests that come while it closes is no problem document: ours is in plugins/waits.ts.
    return503OnClosing: false,
  }) as unknown as FastifyInstance
  await app.register(problemDetails)
  await app.register(connections)
  await app.register(hostGuard, { config })
  await app.register(cors, { config })
  await app.register(auth, { token: state.token, required: config.auth })
  await app.register(kinds, { kinds: config.kinds })
  await app.register(metrics)
  await app.register(tracing, { config, version, instanceId: state.instanceId, clock, log })
  await app.register(runners, { config, instanceId: state.instanceId, drivers: parts.drivers })
  await app.register(events, { config, table, clock, log })
  await app.register(logs, { config, clock, log })
  await app.register(stats, { clock, intervalMs: parts.statsIntervalMs })
  await app.register(services, { config, table, masterKey: state.masterKey, clock, log })
  await app.register(signaling, {
    config,
    version,
    masterKey: state.masterKey,
    clock,
    log,
    timings: parts.signalingTimings,
  })
  await app.register(waits)
  await app.register(webhook, { config, clock, log })
  await app.register(openapi, { version })
  await app.register(proxy, { config, routes: app.services, verifyToken: app.verifyToken, token: state.token })
  await app.register(healthRoutes)
  await app.register(documentRoutes)
  await app.register(mountControl)
  return app
}

/** Everything that needs the token. */
async function mountControl(control: FastifyInstance): Promise<void> {
  control.addHook('onRequest', control.requireToken)
  traceRoutes(control, control.tracing)
  await control.register(strictJson)
  await control.register(spawnRoutes)
  await control.register(serviceRoutes)
  await control.register(changeRoutes)
  await control.register(lifeRoutes)
  await control.register(kindRoutes)
  await control.register(exposedRoutes)
  await control.register(orphanRoutes)
  await control.register(logRoutes)
  await control.register(eventRoutes)
  await control.register(postMortemRoutes)
  await control.register(statsRoutes)
  await control.register(metricsRoutes)
}
