import type { EngineFacts } from './engine-facts.ts'
import type { EngineRequest } from './request.ts'

/** A container that was only created does not run either. */
const NOT_RUNNING = ['exited', 'stopped', 'created', 'initialized']

/**
 * Asks an engine to answer once a container does not run. Podman (4.3) looks without a pause for those who ask in
 * Docker's way: six waits took a third of a core, and what else was asked of these containers waited behind them.
 */
export function waitRequest({ flavour }: EngineFacts, id: string): EngineRequest {
  if (flavour === 'docker') return { method: 'POST', path: `/containers/${id}/wait` }
  const path = `/v4.0.0/libpod/containers/${id}/wait`
  return { method: 'POST', path, query: { condition: NOT_RUNNING, interval: '250ms' } }
}

/** The exit code in the answer, -1 = it has none; null = the answer makes no sense. */
export function waitedCode(body: unknown): number | null {
  const code = typeof body === 'number' ? body : (body as { StatusCode?: unknown } | null)?.StatusCode
  return typeof code === 'number' ? code : null
}
