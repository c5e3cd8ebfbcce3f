import { basename, dirname, join } from 'node:path'
import type { ExitStatus } from '../driver.ts'
import { CgroupFinder } from '../usage/cgroup-directories.ts'
import { tellsOomKill } from '../usage/kernel-log.ts'
import { oomKills } from '../usage/oom-kills.ts'
import { ExitFiles, exitDirectory } from './conmon.ts'
import type { EarlyExits } from './end.ts'
import type { Engine } from './engine.ts'
import { exitStatus } from './exit-status.ts'

/** What a process ends with that was killed: 128 + SIGKILL. */
const KILLED = 137

/**
 * Ends of Podman's containers on this machine, from their monitors. At that moment a container's cgroups are still there,
 * and tell of the out-of-memory killer, which Podman (4.3) never does: it looks for its monitor's mark in the wrong place.
 */
export class MonitoredExits implements EarlyExits {
  readonly #files = new ExitFiles()
  readonly #cgroups = new CgroupFinder()

  async lookOut(engine: Engine, id: string, signal: AbortSignal) {
    if (engine.facts.flavour !== 'podman' || !engine.facts.isLocal) return null
    const container = await engine.inspect(id, signal)
    if (container === null || !container.isAlive || container.pid === null) return null
    const directory = exitDirectory(engine, id, container.pid)
    const cgroups = this.#cgroups.directoriesOf(container.pid, id)
    if (directory === null) return null
    const startedMs = Date.parse(container.startedAt ?? '')
    return (over: AbortSignal) =>
      this.#exit(join(directory, id), over, (code) => {
        const isOom = (oomKills(cgroups) ?? 0) > 0 || (code === KILLED && tellsOomKill(id, startedMs))
        return exitStatus(code, isOom)
      })
  }

  /** Waits as long as the signal lets it. */
  #exit(path: string, over: AbortSignal, read: (code: number) => ExitStatus): Promise<ExitStatus | null> {
    return new Promise((resolve, reject) => {
      const release = this.#files.onExit(dirname(path), basename(path), (code) =>
        resolve(code === null ? null : read(code)),
      )
      const onAbort = (): void => {
        release()
        reject(over.reason)
      }
      over.addEventListener('abort', onAbort, { once: true })
      if (over.aborted) onAbort()
    })
  }

  close(): void {
    this.#files.close()
  }
}
