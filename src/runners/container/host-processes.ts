import { readStat } from '../script/identity.ts'
import type { Engine } from './engine.ts'
import { type HostProcess, hostProcess } from './listens.ts'

/** As many containers as are likely to run; of more the engine is asked again. */
const MAX_KNOWN = 1_000

/** Finds the first process of a container on Hive's own machine, without asking the engine each time. */
export class HostProcesses {
  readonly #known = new Map<string, HostProcess>()

  /**
   * @returns null = it does not run; `elsewhere` = its process is none of this machine's.
   * @throws RunnerUnreachable
   */
  async of(engine: Engine, id: string, signal: AbortSignal): Promise<HostProcess | 'elsewhere' | null> {
    if (!engine.facts.isLocal) return 'elsewhere'
    const known = this.#known.get(id)
    if (known !== undefined && isStill(known)) return known
    this.#known.delete(id)
    const container = await engine.inspect(id, signal)
    if (container === null || !container.isAlive) return null
    const process = container.pid === null ? null : await hostProcess(container.pid)
    if (process === null) return 'elsewhere'
    if (this.#known.size >= MAX_KNOWN) this.#known.clear()
    this.#known.set(id, process)
    return process
  }
}

/** False = it has ended: its pid may be that of somebody else now. */
export function isStill({ pid, startTime }: HostProcess): boolean {
  return readStat(pid)?.startTime === Number(startTime)
}
