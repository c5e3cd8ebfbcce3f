import { isHiveError } from '../../errors.ts'
import { type Launched, LaunchRefused } from '../../runners/driver.ts'
import type { ActionContext } from '../context.ts'
import type { PortLease } from '../state/record.ts'
import { PORT_MOVES } from '../state/transition.ts'
import { awaitProviders } from './await-providers.ts'
import { leaseFree } from './free-ports.ts'
import { launchSpec } from './launch-spec.ts'
import { launchDeadline, orReject } from './prepare.ts'
import { partsForLaunch } from './signaling-url.ts'
import { persist } from './trouble.ts'

/** Starts the cocoon of the current attempt, or adopts it if an earlier try got that far. */
export async function launch(context: ActionContext, signal: AbortSignal): Promise<void> {
  const { attempt } = context.row().record
  await orReject(context, signal, async () => {
    // What it uses may be gone since it was found: Hive may have been away in between.
    if (context.parts.exposure?.isBound(context.row()) === false) await awaitProviders(context, signal)
    const { launched, startMs, leases } = await startSomewhere(context, signal)
    const { handle, endpoint, pid, containerId, startedAt, createMs } = launched
    const facts = { handle, endpoint, pid, containerId, startedAt, createMs, startMs, leases }
    const before = context.row().leases
    const { outcome } = await context.observe(attempt, { type: 'launched', ...facts, boot: context.parts.bootId })
    const [kept, given] = outcome === 'refused' ? [before, leases] : [leases, before]
    context.parts.ports.discard(given.filter(({ hostPort }) => !kept.some((lease) => lease.hostPort === hostPort)))
  })
}

/** Exchanges chosen ports for others, if a lost port is what went wrong. False = there is nothing to exchange any more. */
export async function movePorts(context: ActionContext, error: unknown): Promise<boolean> {
  if (!canMovePorts(context, error)) return false
  const { leases, record } = context.row()
  const moved = await otherPorts(context)
  if (moved === null) return false
  const numbers = moved.map(({ hostPort }) => hostPort)
  context.log.warn({ attempt: record.attempt, ports: numbers }, 'a port was taken: using others')
  // The old ones are given back only when the new ones are durable, or a later attempt could meet somebody on them.
  let given = moved
  try {
    const { outcome } = await context.observe(record.attempt, { type: 'ports', leases: moved })
    if (outcome === 'changed') given = leases
    return outcome === 'changed'
  } finally {
    context.parts.ports.discard(given)
  }
}

export function canMovePorts(context: ActionContext, error: unknown): boolean {
  const { leases, handle, config, portMoves } = context.row()
  const stolen = error instanceof LaunchRefused && error.reason === 'port'
  // An old container has its ports built in: only ?recreate=true can give it others.
  const bound = config.runner !== 'script' && handle !== null
  return stolen && !bound && portMoves < PORT_MOVES && leases.some(({ fixed }) => !fixed)
}

async function otherPorts(context: ActionContext): Promise<readonly PortLease[] | null> {
  const { leases, record, config } = context.row()
  const wishes = leases.map((lease) => ({
    port: config.runner === 'script' ? null : lease.port,
    hostPort: lease.fixed ? lease.hostPort : null,
    name: lease.name,
  }))
  try {
    return await leaseFree(context.parts.ports, record.id, wishes)
  } catch (error) {
    if (isHiveError(error, 'HIVE_CAPACITY')) return null
    throw error
  }
}

interface Started {
  readonly launched: Launched
  readonly startMs: number
}

async function startSomewhere(
  context: ActionContext,
  signal: AbortSignal,
): Promise<Started & { readonly leases: readonly PortLease[] }> {
  for (;;) {
    try {
      const deadline = launchDeadline(context)
      const started = await persist(context, () => startOnce(context, signal), { signal, deadline })
      const leases = adoptedLeases(context.row().leases, started.launched.ports)
      if (context.parts.ports.take(context.row().record.id, leases)) return { ...started, leases }
      await endAdopted(context, started.launched, signal)
    } catch (error) {
      signal.throwIfAborted()
      if (!(await movePorts(context, error))) throw error
    }
  }
}

/** What is adopted keeps its ports, even if the table that chose them has lost its last writes. */
function adoptedLeases(leases: readonly PortLease[], ports: Launched['ports']): readonly PortLease[] {
  return (ports ?? leases).map((binding) => {
    const known = leases.find(({ port, hostPort }) => port === binding.port && hostPort === binding.hostPort)
    return known ?? { ...binding, fixed: false, releasedAt: null }
  })
}

/** A port of it belongs to another cocoon by now: two on one port must not be, so it is launched anew. */
async function endAdopted(context: ActionContext, { handle, ports }: Launched, signal: AbortSignal): Promise<void> {
  const { attempt } = context.row().record
  context.log.warn({ attempt, ports }, 'what was adopted is on a port of another cocoon: it is launched anew')
  await persist(context, () => context.driver.remove(handle, { volumes: false }, signal), { signal })
}

/** A slot is held for one try only: a runner that is away must not keep the others from launching. */
async function startOnce(context: ActionContext, signal: AbortSignal): Promise<Started> {
  const release = await context.parts.slots.acquire(signal)
  try {
    await context.parts.drainLog(context.row())
    const spec = launchSpec(await partsForLaunch(context, signal), context.row(), context.row().leases)
    const since = performance.now()
    const launched = await context.driver.start(spec, signal)
    const elapsedMs = Math.round(performance.now() - since)
    return { launched, startMs: Math.max(0, elapsedMs - (launched.createMs ?? 0)) }
  } finally {
    release()
  }
}
