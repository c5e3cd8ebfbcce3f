import { type CheckTarget, HealthChecker } from '../../health/checker.ts'
import type { HealthCheck } from '../../kinds/kind.ts'
import { canExec, type RunnerHandle, seesPauses } from '../../runners/driver.ts'
import type { ActionContext } from '../context.ts'
import { isPaused } from '../duties/look-for-paused.ts'
import { untilAborted } from './first-of.ts'

/** Resolves when all declared checks have passed once. */
export async function firstPass(context: ActionContext, handle: RunnerHandle, signal: AbortSignal): Promise<void> {
  const { attempt } = context.row().record
  await context.observe(attempt, { type: 'health', health: 'starting' })
  const over = new AbortController()
  const inner = AbortSignal.any([signal, over.signal])
  const checker = newChecker(context, handle, 'starting')
  await checker.run(inner, async (health) => {
    if (health === 'passing') over.abort()
  })
  signal.throwIfAborted()
  await context.observe(attempt, { type: 'health', health: 'passing' })
}

/**
 * Probes until the signal ends it, and reports each change. With a restart policy it resolves, with the reason, when
 * the checks keep failing; without one the cocoon stays, its routes closed until it recovers. While the runner itself
 * does not answer, nothing is held against the cocoon.
 */
export async function watchHealth(context: ActionContext, handle: RunnerHandle, signal: AbortSignal): Promise<string> {
  const { attempt, id } = context.row().record
  const { healthChecks, restart } = context.row().config
  const over = new AbortController()
  const inner = AbortSignal.any([signal, over.signal])
  if (healthChecks.length === 0) return untilAborted(signal)
  const checker = newChecker(context, handle, 'passing')
  await checker.run(inner, async (health) => {
    await context.observe(attempt, { type: 'health', health })
    if (health === 'failing' && restart.policy !== 'never') over.abort()
  })
  signal.throwIfAborted()
  const last = context.parts.view.transcript.of(id).findLast(({ ok }) => !ok)
  return `its health check kept failing: ${last?.detail ?? 'no answer'}`
}

function newChecker(context: ActionContext, handle: RunnerHandle, from: 'starting' | 'passing'): HealthChecker {
  const { record } = context.row()
  const { view, clock } = context.parts
  const startedAt = Date.parse(record.started_at ?? context.row().attemptAt)
  return new HealthChecker({
    checks: checksOf(context),
    target: targetOf(context, handle),
    from,
    startedAt,
    now: () => clock.now(),
    onProbe: (probe) => view.transcript.add(record.id, probe),
    isRunning: (signal) => isRunning(context, handle, signal),
  })
}

/** The checks with the placeholders of this attempt filled in. */
function checksOf(context: ActionContext): readonly HealthCheck[] {
  const { config, record, leases } = context.row()
  const values = {
    kind: record.kind,
    service_name: record.name,
    request_id: record.request_id,
    port: leases[0]?.port ?? null,
  }
  return context.parts.fillPlaceholders(config, values).healthChecks
}

function targetOf(context: ActionContext, handle: RunnerHandle): CheckTarget {
  const { driver } = context
  const bindingOf = (port: number | null) =>
    port === null ? context.row().leases[0] : context.row().leases.find((lease) => lease.port === port)
  return {
    addressOf: (port) => {
      const binding = bindingOf(port)
      return binding ? { host: binding.host, port: binding.hostPort } : null
    },
    listens: async (port, signal) => {
      const binding = bindingOf(port)
      return binding !== undefined && driver.listens(handle, binding, signal)
    },
    exec: canExec(driver) ? (command, signal) => driver.exec(handle, command, signal) : null,
  }
}

/** A runner that is down (F56), or somebody who pauses the cocoon, makes every probe fail: that is not its own doing. */
async function isRunning(context: ActionContext, handle: RunnerHandle, signal: AbortSignal): Promise<boolean> {
  const { driver } = context
  const status = await driver.inspect(handle, signal)
  // It may run on by now, but the probes that failed were those of a paused one.
  if (status.state !== 'running' || isPaused(context.row())) return false
  if (!seesPauses(driver)) return true
  const { id } = context.row().record
  const paused = await driver.paused(new Map([[id, handle]]), signal).catch(() => null)
  return paused !== null && !paused.has(id)
}
