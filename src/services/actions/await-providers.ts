import { setTimeout as delay } from 'node:timers/promises'
import { HiveError } from '../../errors.ts'
import type { Bound, Exposure } from '../../exposure/exposure.ts'
import { reachesHost } from '../../runners/driver.ts'
import { type ActionContext, ticksOf } from '../context.ts'
import { canOpen } from '../table/secrets.ts'
import { firstOf, untilAborted } from './first-of.ts'
import { persist, RUNNER_PATIENCE_MS } from './trouble.ts'

/** What a cocoon uses of others: awaited before its launch, looked after while it runs. */

const CODE = 'HIVE_PROVIDER_MISSING'
const MOST_PATIENCE_MS = 600_000

/**
 * Waits until everything the cocoon uses is provided by somebody healthy, and makes it durable where it has it from.
 * Meanwhile the record says under `error` what it waits for. The time in which Hive was away does not count.
 *
 * @throws HIVE_PROVIDER_SECRET  its secret is refused. @throws HIVE_PROVIDER_MISSING  nobody came in time.
 */
export async function awaitProviders(context: ActionContext, signal: AbortSignal): Promise<void> {
  const { exposure, usesTimeoutMs = MOST_PATIENCE_MS } = context.parts
  if (!exposure || !context.row().record.uses) return
  const { attempt } = context.row().record
  const until = performance.now() + usesTimeoutMs
  for (;;) {
    const { version } = exposure
    const bound = await bind(context, exposure, signal)
    if (bound.type === 'bound') {
      await context.observe(attempt, { type: 'uses', uses: bound.uses })
      if (context.row().record.error?.code === CODE) await context.observe(attempt, { type: 'trouble', error: null })
      return
    }
    if (bound.type === 'refused') throw new HiveError('HIVE_PROVIDER_SECRET', bound.why)
    const leftMs = until - performance.now()
    if (leftMs <= 0) throw new HiveError(CODE, `${bound.why}; it waited for ${usesTimeoutMs / 1000} s`)
    await sayWaiting(context, bound.why)
    for (const id of bound.asleep) await context.parts.wakeService?.(id)
    await firstOf(signal, [
      (inner) => exposure.untilAfter(version, inner),
      (inner) => delay(leftMs, undefined, { signal: inner }),
    ])
  }
}

/**
 * Resolves when the cocoon has to be started again to reach what it uses, with the reason. One that reaches it through
 * a relay never has to: its relay leads to wherever that is, and only the record changes.
 */
export async function providersMoved(context: ActionContext, signal: AbortSignal): Promise<string> {
  const { exposure } = context.parts
  if (!exposure || !context.row().record.uses) return untilAborted(signal)
  const direct = !reachesHost(context.driver)
  for (;;) {
    const { version } = exposure
    const moved = exposure.moved(context.row(), direct)
    // One that could not be launched again is left to run with what it has.
    if (moved && direct && canOpen(context.parts.vault, context.row())) return moved.why
    if (moved && !direct) {
      const { attempt } = context.row().record
      context.log.info({ attempt, reason: moved.why }, 'its relay leads to another provider')
      await context.observe(attempt, { type: 'uses', uses: moved.uses })
    }
    await exposure.untilAfter(version, signal)
  }
}

function bind(context: ActionContext, exposure: Exposure, signal: AbortSignal): Promise<Bound> {
  const deadline = ticksOf(context.parts.clock) + RUNNER_PATIENCE_MS
  return persist(context, () => exposure.bind(context.row(), context.driver, signal), { signal, deadline })
}

async function sayWaiting(context: ActionContext, why: string): Promise<void> {
  const { attempt } = context.row().record
  const { outcome } = await context.observe(attempt, { type: 'trouble', error: { code: CODE, detail: why } })
  if (outcome === 'changed') context.log.info({ attempt, reason: why }, 'waiting for what it uses')
}
