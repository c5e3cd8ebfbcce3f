import { isHiveError } from '../../errors.ts'
import { LaunchRefused, type Prepared, RunnerUnreachable } from '../../runners/driver.ts'
import { type ActionContext, ticksOf } from '../context.ts'
import type { PortLease, ServiceError } from '../state/record.ts'
import { awaitProviders } from './await-providers.ts'
import { leaseFree } from './free-ports.ts'
import { isGated, launchSpec, portWishes } from './launch-spec.ts'
import { partsForLaunch } from './signaling-url.ts'
import { persist, RUNNER_PATIENCE_MS } from './trouble.ts'

/** Pull or directories, then ports: all that must be durable before the launch. */
export async function prepare(context: ActionContext, signal: AbortSignal): Promise<void> {
  const { attempt } = context.row().record
  const queuedMs = context.parts.clock.now().getTime() - Date.parse(context.row().attemptAt)
  await context.observe(attempt, { type: 'preparing' })
  await orReject(context, signal, async () => {
    // A script's ports are known before it is prepared, a container's only when its image is there.
    const early = context.row().config.runner === 'script' ? await leasesFor(context, []) : null
    const prepared = await prepareDriver(context, early ?? context.row().leases, signal)
    const leases = early ?? (await leasesFor(context, prepared.exposed))
    await awaitProviders(context, signal)
    const gated = isGated(context.parts, context.row().config)
    const { pullMs } = prepared
    await context.observe(attempt, { type: 'starting', leases, gated, pullMs, queuedMs: Math.max(0, queuedMs) })
  })
}

/** Runs a part of a launch; what can never work becomes `rejected` with the reason, what may work later is thrown on. */
export async function orReject(context: ActionContext, signal: AbortSignal, part: () => Promise<void>): Promise<void> {
  const { attempt } = context.row().record
  try {
    await part()
  } catch (error) {
    signal.throwIfAborted()
    const refusal = refusalOf(error)
    if (refusal === null) throw error
    await context.observe(attempt, { type: 'refused', error: refusal, unavailable: error instanceof RunnerUnreachable })
  }
}

/** Ticks of the clock until which to wait for the runner; the time in which Hive itself was away does not count. */
export function launchDeadline(context: ActionContext): number {
  return ticksOf(context.parts.clock) + RUNNER_PATIENCE_MS
}

function prepareDriver(context: ActionContext, leases: readonly PortLease[], signal: AbortSignal): Promise<Prepared> {
  const prepareOnce = async () => {
    const spec = launchSpec(await partsForLaunch(context, signal), context.row(), leases)
    return context.driver.prepare(spec, context.progress, signal)
  }
  return persist(context, prepareOnce, {
    signal,
    deadline: launchDeadline(context),
  })
}

/** A service keeps its ports from attempt to attempt; the first launch chooses them. */
async function leasesFor(context: ActionContext, exposed: readonly number[]): Promise<readonly PortLease[]> {
  const { leases, record, config } = context.row()
  const wishes = portWishes(config, exposed)
  if (leases.length > 0 && !context.row().intent.recreate) return leases
  context.parts.ports.release(record.id)
  return leaseFree(context.parts.ports, record.id, wishes)
}

const FINAL = [
  ...(['HIVE_LAUNCH_REFUSED', 'HIVE_SECRETS_LOST', 'HIVE_PORT_TAKEN', 'HIVE_CAPACITY'] as const),
  ...(['HIVE_PROVIDER_MISSING', 'HIVE_PROVIDER_SECRET'] as const),
]

function refusalOf(error: unknown): ServiceError | null {
  if (error instanceof LaunchRefused) return { code: 'HIVE_LAUNCH_REFUSED', detail: error.message }
  if (error instanceof RunnerUnreachable) return { code: 'HIVE_RUNNER_UNAVAILABLE', detail: error.message }
  return isHiveError(error) && FINAL.some((code) => code === error.code)
    ? { code: error.code, detail: error.message }
    : null
}
