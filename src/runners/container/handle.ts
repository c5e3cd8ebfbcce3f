import type { RunnerHandle } from '../driver.ts'

/** What a container's handle holds. */
export interface ContainerHandle {
  /** Identity of the engine: only its "no such container" counts. */
  readonly engine: string
  readonly containerId: string
  readonly name: string
  /** When the launch it was made for began; tells that launch from an earlier one of the same container. */
  readonly startedAt: string | null
  /** Named volumes it mounts. Kept here because they are removed after the container is gone. */
  readonly volumes: readonly string[]
}

export function makeHandle(runner: string, { volumes, ...data }: ContainerHandle): RunnerHandle {
  // A volume's name never holds a comma.
  return { version: 1, runner, data: { ...data, volumes: volumes.length === 0 ? null : volumes.join(',') } }
}

/** @throws TypeError  the handle is not one of a container. */
export function readHandle(handle: RunnerHandle): ContainerHandle {
  const { engine, containerId, name, startedAt, volumes } = handle.data
  if (typeof engine !== 'string' || typeof containerId !== 'string' || typeof name !== 'string')
    throw new TypeError(`a handle of ${handle.runner} (version ${handle.version}) is not one of a container`)
  return {
    engine,
    containerId,
    name,
    startedAt: typeof startedAt === 'string' ? startedAt : null,
    volumes: typeof volumes === 'string' ? volumes.split(',') : [],
  }
}
