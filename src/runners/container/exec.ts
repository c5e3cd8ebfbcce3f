import { setTimeout as delay } from 'node:timers/promises'
import { CheckMark } from '../check-mark.ts'
import { readStat } from '../script/identity.ts'
import { CgroupFinder } from '../usage/cgroup-directories.ts'
import { cgroupPids } from '../usage/cgroup-usage.ts'
import { pidNamespace, pidsIn } from '../usage/process-table.ts'
import type { Engine } from './engine.ts'
import { type HostProcesses, isStill } from './host-processes.ts'

const FIRST_MS = 10
const LIMIT_MS = 200

interface Order {
  readonly command: readonly string[]
  readonly signal: AbortSignal
}

/**
 * Runs commands in containers. No engine ends a command that hangs, or what one leaves running: on Hive's own machine
 * Hive does. Elsewhere, as long as one of a container still runs after its caller gave up, no other is begun there:
 * probes never pile up.
 */
export class ContainerExec {
  readonly #hosts: HostProcesses
  readonly #cgroups = new CgroupFinder()
  /** By container id: the exec whose caller gave up. */
  readonly #hanging = new Map<string, string>()

  constructor(hosts: HostProcesses) {
    this.#hosts = hosts
  }

  /**
   * @throws Error  an earlier command still runs. · EngineRefusal · RunnerUnreachable  also if a time limit runs out
   *   before the engine has taken the command up. · The signal's reason
   */
  async run(engine: Engine, containerId: string, order: Order): Promise<{ readonly code: number }> {
    const { command, signal } = order
    const earlier = this.#hanging.get(containerId)
    if (earlier !== undefined && (await engine.execState(earlier, signal)).state === 'running')
      throw new Error('the command before it still runs')
    this.#hanging.delete(containerId)
    const members = await this.#membersOf(engine, containerId, signal)
    const mark = new CheckMark(containerId)
    try {
      const env = [mark.variable.join('=')]
      const id = await engine.createExec(containerId, { command, env }, signal)
      signal.throwIfAborted()
      this.#hanging.set(containerId, id)
      const code = await result(engine, id, { endLeft: () => mark.endLeft(members), signal })
      this.#hanging.delete(containerId)
      return { code }
    } finally {
      mark.end(members)
    }
  }

  /** The processes of a container: its cgroup has its id as name, or its pid namespace is its own. None = not to be seen. */
  async #membersOf(engine: Engine, containerId: string, signal: AbortSignal): Promise<() => readonly number[]> {
    const first = await this.#hosts.of(engine, containerId, signal)
    if (first === null || first === 'elsewhere') return () => []
    const directories = this.#cgroups.directoriesOf(first.pid, containerId)
    const namespace = pidNamespace(first.pid)
    // Else it ended meanwhile, and these are somebody else's.
    if (!isStill(first)) return () => []
    return () => {
      const pids = cgroupPids(directories)
      return pids.length > 0 ? pids : pidsIn(namespace)
    }
  }
}

async function result(
  engine: Engine,
  id: string,
  { endLeft, signal }: { readonly endLeft: () => void; readonly signal: AbortSignal },
): Promise<number> {
  await engine.startExec(id, signal)
  for (let waitMs = FIRST_MS; ; waitMs = Math.min(LIMIT_MS, waitMs * 1.3)) {
    const seen = await engine.execState(id, signal)
    if (seen.state === 'ended') return seen.code
    // Docker calls it running as long as anything holds its output; that is not the command any more.
    if (seen.state === 'running' && seen.pid !== null && hasEnded(seen.pid)) endLeft()
    await delay(waitMs, undefined, { signal }).catch(() => signal.throwIfAborted())
  }
}

function hasEnded(pid: number): boolean {
  const state = readStat(pid)?.state
  return state === undefined || state === 'Z' || state === 'X'
}
