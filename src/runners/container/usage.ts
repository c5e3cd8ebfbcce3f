import { readStat } from '../script/identity.ts'
import { CgroupFinder } from '../usage/cgroup-directories.ts'
import { kernelUsage } from '../usage/kernel-usage.ts'
import { networkOf } from '../usage/network.ts'
import { ProcessTable } from '../usage/process-table.ts'
import type { Usage } from '../usage/usage.ts'
import type { Engine } from './engine.ts'
import { readEngineStats } from './engine-stats.ts'
import { type HostProcess, hostProcess } from './listens.ts'

/** As many containers as are likely to run; of more the engine is asked again. */
const MAX_KNOWN = 1_000

/**
 * Tells what containers use. On Hive's own machine the kernel is read: it knows more than engines tell, and Docker (20.10)
 * takes a second for each answer. Elsewhere, and for what may not be read, the engine is asked.
 */
export class ContainerUsage {
  readonly #cgroups = new CgroupFinder()
  readonly #processes = new ProcessTable()
  /** By container; checked before and after each look, so an entry that is out of date only costs a question. */
  readonly #known = new Map<string, HostProcess>()

  /** null = it does not run. @throws RunnerUnreachable */
  async of(engine: Engine, id: string, signal: AbortSignal): Promise<Usage | null> {
    const process = engine.facts.isLocal ? await this.#processOf(engine, id, signal) : 'elsewhere'
    if (process === null) return null
    const seen = process === 'elsewhere' ? null : this.#look(process, id)
    if (seen !== null && seen.cpuMs !== null && seen.memoryBytes !== null && seen.network !== null) return seen
    const told = readEngineStats(await engine.stats(id, signal), engine.facts)
    return seen === null || told === null ? told : complete(seen, told)
  }

  /** null = it does not run; `elsewhere` = its process is none of this machine's. */
  async #processOf(engine: Engine, id: string, signal: AbortSignal): Promise<HostProcess | 'elsewhere' | null> {
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

  /** null = it ended meanwhile: these numbers could be those of somebody who has its pid now. */
  #look(process: HostProcess, id: string): Usage | null {
    const { pid } = process
    const usage = kernelUsage(this.#cgroups.directoriesOf(pid, id), () => this.#processes.namespaceOf(pid))
    const network = networkOf(pid)
    if (!isStill(process)) return null
    const why = network === null && { network: 'it shares the network of its host, or this user may not look into it' }
    return { ...usage, network, unknown: { ...usage.unknown, ...why } }
  }
}

function isStill({ pid, startTime }: HostProcess): boolean {
  return readStat(pid)?.startTime === Number(startTime)
}

/** What was seen, and where nothing was, what the engine told. */
function complete(seen: Usage, told: Usage): Usage {
  const unknown = Object.entries(seen.unknown).filter(([name]) => name in told.unknown)
  return {
    cpuMs: seen.cpuMs ?? told.cpuMs,
    memoryBytes: seen.memoryBytes ?? told.memoryBytes,
    memoryLimitBytes: seen.memoryLimitBytes ?? ('memory_limit' in seen.unknown ? told.memoryLimitBytes : null),
    processes: seen.processes ?? told.processes,
    threads: seen.threads ?? told.threads,
    openFiles: seen.openFiles ?? told.openFiles,
    network: seen.network ?? told.network,
    unknown: Object.fromEntries(unknown),
  }
}
