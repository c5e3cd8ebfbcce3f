import type { Endpoint, RunnerHandle } from '../driver.ts'
import type { CocoonIdentity } from './cage.ts'
import type { ProcessIdentity } from './identity.ts'
import type { Marker } from './run-directory.ts'

/** What a script's handle says, typed. Opaque to everybody else. */
export interface ScriptHandle {
  readonly id: string
  readonly attempt: number
  readonly identity: CocoonIdentity
  readonly endpoint: Endpoint | null
  /** The worker's process is a sandbox's monitor; what it runs is in a pid namespace below it. */
  readonly sandboxed: boolean
}

/** @param worker  null while it has not recorded itself. */
export function handleOf(marker: Marker, worker: ProcessIdentity | null): RunnerHandle {
  const { id, attempt, boot_id, leaf, host, port } = marker
  const data = {
    id,
    attempt,
    boot: boot_id,
    leaf,
    host,
    port,
    pid: worker?.pid ?? null,
    start: worker?.startTime ?? null,
    sandbox: marker.sandbox ?? null,
  }
  return { version: 1, runner: 'script', data }
}

/** @throws TypeError  it is not a handle of this driver. */
export function parseHandle(handle: RunnerHandle): ScriptHandle {
  const { id, attempt, boot, leaf, host, port, pid, start, sandbox } = handle.data
  if (handle.version !== 1 || handle.runner !== 'script')
    throw new TypeError('This is not a handle of the script runner')
  if (typeof id !== 'string' || typeof attempt !== 'number' || typeof boot !== 'string') {
    throw new TypeError('This handle of the script runner is incomplete')
  }
  return {
    id,
    attempt,
    identity: {
      bootId: boot,
      worker: typeof pid === 'number' && typeof start === 'number' ? { pid, startTime: start } : null,
      leaf: typeof leaf === 'string' ? leaf : null,
      mark: markOf(id, attempt),
    },
    sandboxed: typeof sandbox === 'string',
    endpoint: typeof host === 'string' && typeof port === 'number' ? { host, port } : null,
  }
}

/** The value of the mark in the environment of an attempt's processes. */
export function markOf(id: string, attempt: number): string {
  return `${id}.${attempt}`
}

export function identityOf(marker: Marker, worker: ProcessIdentity | null): CocoonIdentity {
  return { bootId: marker.boot_id, worker, leaf: marker.leaf, mark: markOf(marker.id, marker.attempt) }
}
