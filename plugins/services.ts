import { randomInt, randomUUID } from 'node:crypto'
import type { FastifyInstance } from 'fastify'
import plugin from 'fastify-plugin'
import type { Logger } from 'pino'
import { Exposure } from '../src/exposure/exposure.ts'
import { acceptsEnvironment } from '../src/kinds/accept.ts'
import { checkRequestIdForConfig, needsPort, resolveForAttempt } from '../src/kinds/attempt.ts'
import { Relays } from '../src/relay/relays.ts'
import type { RunnerDriver } from '../src/runners/driver.ts'
import { PortPool } from '../src/services/actions/ports.ts'
import { StartSlots } from '../src/services/actions/start-slots.ts'
import type { Clock } from '../src/services/context.ts'
import { readBootId } from '../src/services/duties/boot.ts'
import { takeUpLogs } from '../src/services/duties/log-duty.ts'
import { lookForPaused } from '../src/services/duties/look-for-paused.ts'
import { reconcile } from '../src/services/duties/reconcile.ts'
import { regularly } from '../src/services/duties/regularly.ts'
import type { ServiceRow } from '../src/services/state/record.ts'
import { Supervisor } from '../src/services/supervisor.ts'
import { openSecrets } from '../src/services/table/secrets.ts'
import type { StateStore } from '../src/services/table/table.ts'
import { createVault, type Vault } from '../src/services/table/vault.ts'
import { ServiceView } from '../src/services/view.ts'
import type { HiveConfig } from '../src/settings.ts'
import { loopbackTarget, signalingReach } from '../src/signaling/reach.ts'
import { takeUpStats } from '../src/stats/stats-duty.ts'

declare module 'fastify' {
  interface FastifyInstance {
    supervisor: Supervisor
    /** Reads only: everything that changes a service goes through the supervisor. */
    services: ServiceView
    serviceTable: StateStore
    /** Who provides what to whom. */
    exposure: Exposure
  }
}

export interface ServicesOptions {
  readonly config: HiveConfig
  readonly table: StateStore
  readonly masterKey: Buffer
  readonly clock: Clock
  readonly log: Logger
}

const RECONCILE_EVERY_MS = 30_000
const RECONCILE_DEADLINE_MS = 60_000
/** What is done to a cocoon outside Hive is noticed within 5 s. */
const LOOK_FOR_PAUSED_EVERY_MS = 2_500

export default plugin(
  async (app: FastifyInstance, options: ServicesOptions) => {
    const { config, table, clock } = options
    const view = new ServiceView()
    const relays = await openRelays(options)
    view.onProgress((row, progress) => app.events.pull(row, progress))
    const logs = takeUpLogs(view, app.logs, app.runners.drivers)
    takeUpStats(view, app.stats, app.runners.drivers)
    const vault = createVault(options.masterKey)
    const exposure = await openExposure(options, { vault, view, drivers: app.runners.drivers })
    const supervisor: Supervisor = new Supervisor({
      table: app.events.recording(
        table,
        (id) => view.byId(id),
        (id) => app.logs.forget(id),
      ),
      view,
      vault,
      ports: new PortPool(config.portRange, () => clock.now().getTime(), anyPortOf(config)),
      slots: new StartSlots(config.maxStarts),
      drivers: app.runners.drivers,
      clock,
      log: options.log,
      signalingUrl: config.signalingUrl,
      reachSignaling: signalingReach(config.signalingUrl, relays),
      exposure,
      usesTimeoutMs: config.usesTimeoutMs,
      wakeService: (id) => supervisor.wake(id),
      bootId: readBootId(),
      fillPlaceholders: resolveForAttempt,
      usesPort: needsPort,
      drainLog: (row) => logs.drain(row),
      lastStats: (id, attempt) => app.stats.last(id, attempt),
      kinds: app.kinds,
      rules: { acceptsEnvironment, checkRequestId: checkRequestIdForConfig },
      whyDown: (kind) => app.runners.whyDown(kind),
      newId: randomUUID,
      maxCocoons: config.maxCocoons,
    })
    app.decorate('services', view).decorate('supervisor', supervisor).decorate('serviceTable', table)
    app.decorate('exposure', exposure)
    await supervisor.load()
    await exposure.relays.keepOnly((id) => isThere(view, id))
    await app.logs.sweep((id) => view.byId(id) !== null)
    view.onChange(app.metrics.serviceChanged)
    if (app.tracing !== null) view.onChange(app.tracing.serviceChanged)
    const stop = reconcileRegularly(app, options)
    app.addHook('onClose', async () => {
      await stop()
      await supervisor.close()
      await relays.close()
      await exposure.close()
      await table.close()
    })
  },
  { name: 'services', dependencies: ['kinds', 'runners', 'logs', 'events', 'tracing', 'stats'] },
)

/** Relays that containers of an earlier Hive may still use are open again before anything is adopted. */
async function openRelays({ config, table, log }: ServicesOptions): Promise<Relays> {
  const relays = new Relays(table, log)
  const target = config.signalingUrl === null ? null : loopbackTarget(config.signalingUrl)
  await relays.restore(({ host, port }) => host === target?.host && port === target.port)
  return relays
}

interface ExposureParts {
  readonly vault: Vault
  readonly view: ServiceView
  readonly drivers: ReadonlyMap<string, RunnerDriver>
}

/** Open before anything is adopted, too: containers of an earlier Hive still use what it gave them. */
async function openExposure({ table, log }: ServicesOptions, parts: ExposureParts): Promise<Exposure> {
  const { vault, view, drivers } = parts
  const openVars = (row: ServiceRow) => openSecrets(vault, row).exposedVars ?? {}
  const exposure = new Exposure({ documents: table, log, drivers, openVars })
  view.onChange((row) => {
    exposure.note(row)
    if (row.record.state !== 'removed' || !row.record.uses) return
    const { id } = row.record
    exposure.relays
      .keepOnly((consumer) => consumer !== id)
      .catch((err: unknown) => log.warn({ err, id }, 'the relays of a removed cocoon are forgotten at the next start'))
  })
  await exposure.relays.restore()
  return exposure
}

function isThere(view: ServiceView, id: string): boolean {
  return view.byId(id) !== null && view.byId(id)?.record.state !== 'removed'
}

/** @returns the function that ends the passes and waits for those under way. */
function reconcileRegularly(app: FastifyInstance, { config, clock, log }: ServicesOptions): () => Promise<void> {
  const { services: view, supervisor, runners } = app
  const parts = { view, supervisor, clock, log, keepEndedMs: config.keepEndedMs }
  const passes = regularly(RECONCILE_EVERY_MS, RECONCILE_DEADLINE_MS, (signal) =>
    reconcile({ ...parts, drivers: runners.drivers.values() }, signal).catch((error: unknown) => {
      if (!signal.aborted) log.error({ err: error }, 'reconciling failed')
    }),
  )
  const looks = regularly(LOOK_FOR_PAUSED_EVERY_MS, RECONCILE_DEADLINE_MS, (signal) =>
    lookForPaused({ view, supervisor, drivers: runners.drivers.values() }, signal),
  )
  passes.now()
  // What happened in a runner while it was away is not known until it is looked at.
  runners.onReturn(passes.now)
  return async () => {
    await Promise.all([passes.stop(), looks.stop()])
  }
}

function anyPortOf({ portRange: { first, last } }: HiveConfig): number {
  return randomInt(first, last + 1)
}
