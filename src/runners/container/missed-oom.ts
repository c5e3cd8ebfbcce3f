import { tellsOomKill } from '../usage/kernel-log.ts'
import type { ContainerInfo } from './container-info.ts'
import type { EngineFacts } from './engine-facts.ts'

/** What a process ends with that was killed: 128 + SIGKILL. */
const KILLED = 137
const MAX_KNOWN = 1_000

/**
 * Podman (4.3) never says that a container was killed for memory, and dockerd (20.10) may learn of it only after the end.
 * The kernel says it, and remembers it for a Hive that was not there; its log is long, so it is asked once for each end.
 */
export class MissedOom {
  readonly #known = new Map<string, boolean>()

  correct(container: ContainerInfo, { isLocal }: EngineFacts): ContainerInfo {
    const { isAlive, hasRun, oom, exitCode, id, startedAt, endedAt } = container
    const isUnsure = isLocal && hasRun && !isAlive && !oom && exitCode === KILLED
    if (!isUnsure || startedAt === null) return container
    const key = `${id} ${startedAt} ${endedAt}`
    const told = this.#known.get(key) ?? tellsOomKill(id, Date.parse(startedAt))
    if (this.#known.size >= MAX_KNOWN) this.#known.clear()
    this.#known.set(key, told)
    return { ...container, oom: told }
  }
}
