import { setTimeout as delay } from 'node:timers/promises'
import type { Engine } from './engine.ts'

const FIRST_MS = 10
const LIMIT_MS = 200

/**
 * Runs commands in containers. The engine cannot end a command that hangs, so as long as one of a container still runs
 * after its caller gave up, no other is begun there: probes never pile up.
 */
export class ContainerExec {
  /** By container id: the exec whose caller gave up. */
  readonly #hanging = new Map<string, string>()

  /**
   * @throws Error  an earlier command still runs. · EngineRefusal · RunnerUnreachable  also if a time limit runs out
   *   before the engine has taken the command up. · The signal's reason
   */
  async run(
    engine: Engine,
    containerId: string,
    { command, signal }: { readonly command: readonly string[]; readonly signal: AbortSignal },
  ): Promise<{ readonly code: number }> {
    const earlier = this.#hanging.get(containerId)
    if (earlier !== undefined && (await engine.execResult(earlier, signal)) === 'running')
      throw new Error('the command before it still runs')
    this.#hanging.delete(containerId)
    const id = await engine.createExec(containerId, command, signal)
    signal.throwIfAborted()
    this.#hanging.set(containerId, id)
    await engine.startExec(id, signal)
    for (let waitMs = FIRST_MS; ; waitMs = Math.min(LIMIT_MS, waitMs * 1.3)) {
      const result = await engine.execResult(id, signal)
      if (typeof result === 'number') {
        this.#hanging.delete(containerId)
        return { code: result }
      }
      await delay(waitMs, undefined, { signal }).catch(() => signal.throwIfAborted())
    }
  }
}
