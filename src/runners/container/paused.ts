import type { RunnerHandle } from '../driver.ts'
import { answered } from './end.ts'
import type { EnginePool } from './engine-pool.ts'
import { readHandle } from './handle.ts'
import { LABEL } from './labels.ts'

/** Keys of the containers that somebody has paused: one short list from each engine. @throws RunnerUnreachable */
export async function pausedAmong(
  pool: EnginePool,
  instanceId: string,
  handles: ReadonlyMap<string, RunnerHandle>,
  signal: AbortSignal,
): Promise<ReadonlySet<string>> {
  const label = `${LABEL.instance}=${instanceId}`
  const listed = await pool.fromAll(
    (engine) => answered(() => engine.list(label, signal, { status: ['paused'] })),
    signal,
  )
  const entries = listed as readonly { readonly Id?: unknown; readonly State?: unknown }[]
  const ids = new Set(entries.filter(({ State }) => State === 'paused').map(({ Id }) => Id))
  const isPaused = (handle: RunnerHandle) => ids.has(readHandle(handle).containerId)
  return new Set([...handles].filter(([, handle]) => isPaused(handle)).map(([key]) => key))
}
