import { type Launched, LaunchRefused } from '../runners/driver.ts'
import type { ActionContext } from './context.ts'
import { launchSpec } from './launch-spec.ts'
import { launchDeadline, orReject } from './prepare.ts'
import type { PortLease } from './record.ts'
import { persist } from './trouble.ts'

/** How often a launch is moved to another port because a stranger took the one it was given. */
const PORT_MOVES = 3

/** Starts the cocoon of the current attempt, or adopts it if an earlier try got that far. */
export async function launch(context: ActionContext, signal: AbortSignal): Promise<void> {
  const { attempt } = context.row().record
  await orReject(context, signal, async () => {
    for (let moves = 0; ; moves++) {
      try {
        const { launched, startMs } = await start(context, signal)
        const { handle, endpoint, pid, containerId, startedAt, createMs } = launched
        await context.observe(attempt, {
          type: 'launched',
          handle,
          endpoint,
          pid,
          containerId,
          startedAt,
          createMs,
          startMs,
        })
        return
      } catch (error) {
        if (moves >= PORT_MOVES || !(await movePorts(context, error))) throw error
      }
    }
  })
}

/** Exchanges chosen ports for others, if a lost port is what went wrong. False = nothing to exchange. */
export async function movePorts(context: ActionContext, error: unknown): Promise<boolean> {
  const { leases, handle, record, config } = context.row()
  const stolen = error instanceof LaunchRefused && error.reason === 'port'
  // An old container has its ports built in: only ?recreate=true can give it others.
  const bound = config.runner !== 'script' && handle !== null
  if (!stolen || bound || leases.every(({ fixed }) => fixed)) return false
  context.parts.ports.discard(leases)
  const wishes = leases.map((lease) => ({
    port: config.runner === 'script' ? null : lease.port,
    hostPort: lease.fixed ? lease.hostPort : null,
    name: lease.name,
  }))
  const moved: readonly PortLease[] = context.parts.ports.lease(record.id, wishes)
  context.log.warn(
    { attempt: record.attempt, ports: moved.map(({ hostPort }) => hostPort) },
    'a port was taken: using others',
  )
  await context.observe(record.attempt, { type: 'ports', leases: moved })
  return true
}

async function start(context: ActionContext, signal: AbortSignal): Promise<{ launched: Launched; startMs: number }> {
  const release = await context.parts.slots.acquire(signal)
  try {
    const spec = launchSpec(context.parts, context.row(), context.row().leases)
    const since = performance.now()
    const launched = await persist(context, () => context.driver.start(spec, signal), {
      signal,
      deadline: launchDeadline(context),
    })
    return { launched, startMs: Math.round(performance.now() - since) - (launched.createMs ?? 0) }
  } finally {
    release()
  }
}
