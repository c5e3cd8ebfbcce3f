import { CgroupFinder } from '../usage/cgroup-directories.ts'
import { kernelUsage } from '../usage/kernel-usage.ts'
import { networkOf } from '../usage/network.ts'
import { ProcessTable } from '../usage/process-table.ts'
import type { Usage } from '../usage/usage.ts'
import type { Engine } from './engine.ts'
import { readEngineStats } from './engine-stats.ts'
import { type HostProcesses, isStill } from './host-processes.ts'
import type { HostProcess } from './listens.ts'

/**
 * Tells what containers use. On Hive's own machine the kernel is read: it knows more than engines tell, and Docker (20.10)
 * takes a second for each answer. Elsewhere, and for what may not be read, the engine is asked.
 */
export class ContainerUsage {
  readonly #cgroups = new CgroupFinder()
  readonly #processes = new ProcessTable()
  readonly #hosts: HostProcesses

  constructor(hosts: HostProcesses) {
    this.#hosts = hosts
  }

  /** null = it does not run. @throws RunnerUnreachable */
  async of(engine: Engine, id: string, signal: AbortSignal): Promise<Usage | null> {
    const process = await this.#hosts.of(engine, id, signal)
    if (process === null) return null
    const seen = process === 'elsewhere' ? null : this.#look(process, id)
    if (seen !== null && seen.cpuMs !== null && seen.memoryBytes !== null && seen.network !== null) return seen
    const told = readEngineStats(await engine.stats(id, signal), engine.facts)
    return seen === null || told === null ? told : complete(seen, told)
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
