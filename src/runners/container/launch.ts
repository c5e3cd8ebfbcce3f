import { readFile } from 'node:fs/promises'
import { setTimeout as delay } from 'node:timers/promises'
import type { ContainerConfig } from '../../kinds/kind.ts'
import { type Launched, LaunchRefused, type LaunchSpec, RunnerUnreachable } from '../driver.ts'
import { commandFault } from './command-check.ts'
import type { ContainerInfo } from './container-info.ts'
import { containerName, createOptions } from './create-options.ts'
import { removeContainer } from './end.ts'
import type { Engine } from './engine.ts'
import { makeHandle, readHandle } from './handle.ts'
import type { HardLimits } from './host-limits.ts'
import { limitFault } from './kept-limits.ts'
import { isOwn, LABEL } from './labels.ts'
import { endpointOf, handleOf, portsOf } from './observe.ts'
import { refusedCreate, refusedStart } from './refusals.ts'
import { EngineRefusal } from './request.ts'

const LOOKS_FOR_NAME = 20
const LOOK_EVERY_MS = 50

export interface LaunchRoom {
  readonly engine: Engine
  readonly runner: string
  readonly instanceId: string
  readonly hardLimits: HardLimits
}

/** One attempt of a container service. */
interface Attempt extends LaunchRoom {
  readonly spec: LaunchSpec
  readonly config: ContainerConfig
  readonly signal: AbortSignal
}

/**
 * Starts the container of a service: the one an earlier attempt left, else a new one. Whatever a lost reply or a crash
 * left half made is found by its name and carried on with, if it bears our labels.
 */
export async function launch(
  room: LaunchRoom,
  spec: LaunchSpec,
  config: ContainerConfig,
  signal: AbortSignal,
): Promise<Launched> {
  const attempt: Attempt = { ...room, spec, config, signal }
  const earlier = await earlierContainer(attempt)
  if (earlier === null) return createAndStart(attempt)
  if (!spec.recreate) return carryOn(attempt, earlier)
  await removeContainer(room.engine, earlier.id, signal)
  return createAndStart(attempt)
}

async function earlierContainer({ spec, engine, instanceId, signal }: Attempt): Promise<ContainerInfo | null> {
  if (spec.handle === null) return null
  const container = await engine.inspect(readHandle(spec.handle).containerId, signal)
  if (container !== null && !isOwn(container.labels, spec, instanceId))
    throw new LaunchRefused(`the container ${container.name} is not one of this service`)
  return container
}

async function createAndStart(attempt: Attempt): Promise<Launched> {
  const { spec, config, engine, signal } = attempt
  const fault = limitFault(config.resources, engine.facts.limits)
  if (fault !== null) throw new LaunchRefused(fault)
  const name = containerName(spec, config, attempt.instanceId)
  const body = createOptions(spec, config, {
    instanceId: attempt.instanceId,
    engine: engine.facts,
    hardLimits: attempt.hardLimits,
    seccomp: await seccompProfile(config, engine),
  })
  try {
    const began = performance.now()
    const id = await engine.create(name, body, signal)
    await refuseBadCommand(attempt, id)
    return await startContainer(attempt, id, Math.round(performance.now() - began))
  } catch (error) {
    if (!(error instanceof EngineRefusal)) throw error
    if (!isNameTaken(error)) throw refusedCreate(error, spec, config)
    return carryOnNamed(attempt, name)
  }
}

/** The engine's init would start, not find the command, and end with 127: an end like any other, tried again and again. */
async function refuseBadCommand({ engine, config, signal }: Attempt, id: string): Promise<void> {
  const fault = await commandFault(engine, id, config.command?.[0] ?? null, signal)
  if (fault === null) return
  await removeContainer(engine, id, signal)
  throw new LaunchRefused(`${config.image}: ${fault}`)
}

/** Docker answers 409; Podman before 4.0 answered 500. */
function isNameTaken(error: EngineRefusal): boolean {
  return error.status === 409 || (error.status === 500 && /name .* (?:is )?already in use/i.test(error.message))
}

async function carryOnNamed(attempt: Attempt, name: string): Promise<Launched> {
  const { engine, spec, instanceId, signal } = attempt
  const container = await inspectNamed(engine, name, signal)
  if (container === null)
    throw new RunnerUnreachable(`the name ${name} was taken a moment ago and is free now: try again`)
  if (!isOwn(container.labels, spec, instanceId))
    throw new LaunchRefused(`the container name ${name} is taken by a container that is not of this service`)
  const isOfEarlierAttempt = Number(container.labels[LABEL.attempt]) < spec.attempt
  if (!(spec.recreate && isOfEarlierAttempt)) return carryOn(attempt, container)
  await removeContainer(engine, container.id, signal)
  return createAndStart(attempt)
}

/** An engine reserves the name before the container of another caller's create can be seen under it. */
async function inspectNamed(engine: Engine, name: string, signal: AbortSignal): Promise<ContainerInfo | null> {
  for (let look = 1; look < LOOKS_FOR_NAME; look++) {
    const container = await engine.inspect(name, signal)
    if (container !== null) return container
    await delay(LOOK_EVERY_MS, undefined, { signal })
  }
  return engine.inspect(name, signal)
}

/** From our own container, in whatever state it is. */
async function carryOn(attempt: Attempt, container: ContainerInfo): Promise<Launched> {
  if (container.isAlive || hasRunAlready(attempt.spec, container)) return launched(attempt, container, true)
  // Podman starts nothing whose end it does not know.
  if (!container.isUnseenEnd) {
    if (hasBindingsOf(attempt.spec, container)) return startContainer(attempt, container.id, null)
    // Ports are fixed when a container is made. One that never ran has no files to lose.
    if (container.hasRun)
      throw new LaunchRefused(
        'the container was made with other host ports; start it with recreate to give it the new ones',
      )
  }
  await removeContainer(attempt.engine, container.id, attempt.signal)
  return createAndStart(attempt)
}

/** True if this very attempt ran and has ended: started after the launch that the handle is of, or made for it. */
function hasRunAlready(spec: LaunchSpec, container: ContainerInfo): boolean {
  if (!container.hasRun) return false
  const handle = spec.handle === null ? null : readHandle(spec.handle)
  if (handle?.containerId === container.id && handle.startedAt !== null) return container.startedAt !== handle.startedAt
  return Number(container.labels[LABEL.attempt]) === spec.attempt
}

function hasBindingsOf(spec: LaunchSpec, { bindings }: ContainerInfo): boolean {
  const wanted = spec.ports.map(({ port, hostPort }) => `${port}:${hostPort}`).sort()
  return (
    wanted.join() ===
    bindings
      .map(({ port, hostPort }) => `${port}:${hostPort}`)
      .sort()
      .join()
  )
}

/** @param createMs  what making it just now took; null = it was there. */
async function startContainer(attempt: Attempt, id: string, createMs: number | null): Promise<Launched> {
  const { engine, spec, config, signal } = attempt
  try {
    const isStarted = await engine.start(id, signal)
    return { ...launched(attempt, await engine.inspect(id, signal), !isStarted), createMs }
  } catch (error) {
    if (!(error instanceof EngineRefusal)) throw error
    // Podman refuses where Docker says "not modified" when two start it at once.
    const container = await engine.inspect(id, signal)
    if (container?.isAlive) return launched(attempt, container, true)
    const refusal = refusedStart(error, spec, config)
    if (createMs !== null && refusal instanceof LaunchRefused) await removeContainer(engine, id, signal)
    throw refusal
  }
}

function launched(attempt: Attempt, container: ContainerInfo | null, adopted: boolean): Launched {
  if (container === null) throw new RunnerUnreachable('the container was removed while it was being started')
  return {
    handle: makeHandle(attempt.runner, handleOf(container, attempt.engine.facts.id)),
    endpoint: endpointOf(container),
    pid: container.pid,
    containerId: container.id,
    startedAt: container.startedAt ?? new Date().toISOString(),
    adopted,
    ports: adopted ? portsOf(container) : null,
    createMs: null,
  }
}

/** The API takes a profile's text where the command line takes its path; Podman's takes the path. */
async function seccompProfile({ security }: ContainerConfig, { facts }: Engine): Promise<string | null> {
  const { seccomp } = security
  if (seccomp === null || !seccomp.startsWith('/') || facts.flavour === 'podman') return seccomp
  try {
    return JSON.stringify(JSON.parse(await readFile(seccomp, 'utf8')))
  } catch (error) {
    throw new LaunchRefused(`the seccomp profile ${seccomp} cannot be read: ${(error as Error).message}`, {
      cause: error,
    })
  }
}
