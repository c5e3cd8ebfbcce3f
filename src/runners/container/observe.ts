import type { Endpoint, OwnedObject, PortBinding, RunnerStatus } from '../driver.ts'
import { type ContainerInfo, isNamed } from './container-info.ts'
import { exitStatus } from './exit-status.ts'
import { type ContainerHandle, makeHandle } from './handle.ts'
import { LABEL, type Labels } from './labels.ts'

/**
 * A container's state in the words of the contract. A paused one runs. One that was created but never started answers
 * missing: there is no run and no exit to speak of, and `start` goes on from it.
 */
export function statusOf(container: ContainerInfo): RunnerStatus {
  const { isAlive, hasRun, pid, startedAt, exitCode, oom, endedAt } = container
  if (isAlive) return { state: 'running', pid, startedAt, endpoint: endpointOf(container) }
  if (!hasRun) return { state: 'missing' }
  return { state: 'exited', exit: exitStatus(exitCode, oom), endedAt }
}

/** Where the exposed port is published; null = the cocoon only dials out. */
export function endpointOf({ labels, bindings }: ContainerInfo): Endpoint | null {
  const exposed = Number(labels[LABEL.port])
  const binding = bindings.find(({ port }) => port === exposed)
  return binding === undefined ? null : { host: binding.host, port: binding.hostPort }
}

/** The ports it was made with, the exposed one first. */
export function portsOf({ labels, bindings }: ContainerInfo): readonly PortBinding[] {
  const exposed = Number(labels[LABEL.port])
  const ports = bindings.map((binding): PortBinding => ({ ...binding, protocol: 'tcp', name: null }))
  return [...ports.filter(({ port }) => port === exposed), ...ports.filter(({ port }) => port !== exposed)]
}

export function handleOf(container: ContainerInfo, engine: string): ContainerHandle {
  const { id, name, startedAt, volumes } = container
  return { engine, containerId: id, name, startedAt, volumes }
}

interface Listed {
  readonly Id?: unknown
  readonly Names?: readonly string[] | null
  readonly State?: unknown
  readonly Created?: unknown
  readonly Labels?: Labels | null
  readonly Mounts?: readonly { readonly Type?: string; readonly Name?: string }[] | null
}

/** One entry of `GET /containers/json`; null if it does not look like one of ours. */
export function ownedObject(entry: unknown, runner: string, engine: string): OwnedObject | null {
  const { Id, Names, State, Created, Labels: labels, Mounts } = entry as Listed
  const id = labels?.[LABEL.id]
  if (typeof Id !== 'string' || id === undefined) return null
  const mounted = (Mounts ?? []).flatMap(({ Type, Name }) => (Type === 'volume' && Name ? [Name] : []))
  const handle: ContainerHandle = {
    engine,
    containerId: Id,
    name: (Names?.[0] ?? '').replace(/^\//, ''),
    startedAt: null,
    volumes: mounted.filter(isNamed),
  }
  return {
    id,
    name: labels?.[LABEL.name] ?? '',
    kind: labels?.[LABEL.kind] ?? '',
    port: labels?.[LABEL.port] === undefined ? null : Number(labels[LABEL.port]),
    attempt: Number(labels?.[LABEL.attempt] ?? 0),
    handle: makeHandle(runner, handle),
    running: State === 'running' || State === 'paused' || State === 'stopping',
    // Seconds since 1970.
    createdAt: typeof Created === 'number' ? new Date(Created * 1_000).toISOString() : null,
  }
}
