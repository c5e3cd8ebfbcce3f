import { statSync } from 'node:fs'
import { rmdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { ScriptConfig } from '../../kinds/kind.ts'
import { type Launched, LaunchRefused, type LaunchSpec, RunnerUnreachable } from '../driver.ts'
import { leafCage, makeLeaf } from './cgroup.ts'
import { findCommand } from './command.ts'
import { cageOf } from './containment.ts'
import { endAll, settleLauncher } from './ending.ts'
import { cocoonEnvironment } from './environment.ts'
import { handleOf, identityOf, markOf } from './handle.ts'
import type { ScriptHost } from './host.ts'
import { isAlive, ownIdentity, type ProcessIdentity } from './identity.ts'
import { awaitWorker, spawnLauncher } from './launch.ts'
import type { HostTools } from './launcher.ts'
import { poll } from './pause.ts'
import { verifyPortsFree } from './ports.ts'
import { ContainmentRefused } from './refusal.ts'
import {
  attemptDirectory,
  attemptsOf,
  createAttempt,
  type Marker,
  readIdentity,
  readMarker,
  removeAttempt,
  voidWorker,
} from './run-directory.ts'
import { runAs } from './user.ts'
import { openWorkingDirectory, planWorkingDirectory } from './working-directory.ts'

/** Attempts of a service whose output is kept, the newest included. */
const KEPT_ATTEMPTS = 5
const ADOPT_LIMIT_MS = 10_000
/** Others may clear an attempt away while we look at it, but not for ever. */
const MAX_TRIES = 10
const CLEAR_LIMIT_MS = 900

/** Launches one attempt, or adopts it if somebody has launched it already. Errors as in the driver contract. */
export async function startAttempt(host: ScriptHost, spec: LaunchSpec, signal: AbortSignal): Promise<Launched> {
  const directory = attemptDirectory(host.runs, spec.id, spec.attempt)
  for (let tries = 0; tries < MAX_TRIES; tries++) {
    signal.throwIfAborted()
    const isNew = readMarker(directory) === null && (await createAttempt(host.runs, newMarker(host, spec)))
    if (isNew) return launchFresh(host, spec, signal)
    const found = await whatBecameOf(directory, signal)
    if (found === 'launched') return adopt(directory, spec, signal)
    if (found === 'abandoned') await clearAbandoned(host, spec, signal)
  }
  throw new RunnerUnreachable(`The run directory ${directory} is damaged: remove it`)
}

async function launchFresh(host: ScriptHost, spec: LaunchSpec, signal: AbortSignal): Promise<Launched> {
  try {
    return await launch(host, spec, signal)
  } catch (error) {
    const directory = attemptDirectory(host.runs, spec.id, spec.attempt)
    const hopeless = error instanceof LaunchRefused || error instanceof ContainmentRefused
    // A worker that has recorded itself stays for a second start to adopt; otherwise none comes any more.
    if (hopeless || (await voidWorker(directory))) await clear(host, spec)
    if (!(error instanceof ContainmentRefused)) throw error
    host.giveUpCgroups(error.message)
    host.warn(`${error.message}; cocoons are contained by process group from now on`)
    return startAttempt(host, spec, signal)
  }
}

async function launch(host: ScriptHost, spec: LaunchSpec, signal: AbortSignal): Promise<Launched> {
  const config = scriptConfig(spec)
  const tools = toolsOf(host)
  const { path, user } = checkLaunch(config, host, tools)
  const directory = attemptDirectory(host.runs, spec.id, spec.attempt)
  await Promise.all([verifyPortsFree(spec.ports, signal), endEarlierAttempts(host, spec, signal)])
  const work = await openWorkingDirectory(planWorkingDirectory(spec, config.workingDir, host.workRoot), user)
  try {
    const plan = {
      spec,
      directory,
      tools,
      leaf: makeOwnLeaf(host, spec),
      mark: markOf(spec.id, spec.attempt),
      command: [...(user?.prefix ?? []), path, ...config.args],
      wrapped: user !== null,
      environment: cocoonEnvironment(spec, host.environment, work.path),
      cwd: work.pinned,
    }
    signal.throwIfAborted()
    await spawnLauncher(plan)
    return launchedOf(directory, spec, { worker: await awaitWorker(plan, signal), adopted: false })
  } finally {
    await work.close()
  }
}

async function adopt(directory: string, spec: LaunchSpec, signal: AbortSignal): Promise<Launched> {
  const worker = await awaitWorker({ directory, command: [scriptConfig(spec).command], wrapped: false }, signal)
  return launchedOf(directory, spec, { worker, adopted: true })
}

function launchedOf(
  directory: string,
  spec: LaunchSpec,
  { worker, adopted }: { readonly worker: ProcessIdentity; readonly adopted: boolean },
): Launched {
  const marker = readMarker(directory)
  if (marker === null || marker.id !== spec.id) throw new RunnerUnreachable('The run directory was changed meanwhile')
  const [binding] = spec.ports
  return {
    handle: handleOf(marker, worker),
    endpoint: binding ? { host: binding.host, port: binding.hostPort } : null,
    pid: worker.pid,
    containerId: null,
    startedAt: statSync(join(directory, 'pid')).mtime.toISOString(),
    adopted,
    createMs: null,
  }
}

/** Follows an attempt that somebody else made. `gone` = the maker cleared it away; `abandoned` = its maker died first. */
async function whatBecameOf(directory: string, signal: AbortSignal): Promise<'launched' | 'gone' | 'abandoned'> {
  const ask = () => {
    const marker = readMarker(directory)
    if (marker === null) return 'gone'
    if (readIdentity(directory, 'pid') !== null) return 'launched'
    const launcher = readIdentity(directory, 'claim')
    // Its launcher may live on after its Hive: only when both are gone nobody will make the worker any more.
    const busy = isAlive(marker.hive) || (launcher !== null && isAlive(launcher))
    return busy ? undefined : 'abandoned'
  }
  const fate = await poll(ask, { limitMs: ADOPT_LIMIT_MS, longestMs: 10, signal })
  if (fate) return fate
  throw new RunnerUnreachable('Another start of this attempt is still under way')
}

/** Without a worker, and made sure that none comes: then the attempt may begin anew. */
async function clearAbandoned(host: ScriptHost, spec: LaunchSpec, signal: AbortSignal): Promise<void> {
  const directory = attemptDirectory(host.runs, spec.id, spec.attempt)
  if (!(await voidWorker(directory)) && readIdentity(directory, 'pid') !== null) return
  await settleLauncher(directory, signal)
  await clear(host, spec)
}

/** Leaves nothing of an attempt that has no worker. Runs to its end even if the start is aborted. */
async function clear(host: ScriptHost, spec: LaunchSpec): Promise<void> {
  const directory = attemptDirectory(host.runs, spec.id, spec.attempt)
  const marker = readMarker(directory)
  const signal = AbortSignal.timeout(CLEAR_LIMIT_MS)
  if (marker?.leaf) await endAll(leafCage(marker.leaf), 0, signal)
  await settleLauncher(directory, signal)
  await removeAttempt(host.runs, spec.id, spec.attempt)
  await rmdir(join(host.workRoot, spec.id)).catch(() => {
    // Holds an earlier attempt's files, or was never made.
  })
}

/** A child that an earlier attempt left behind may hold the port; old output does not pile up. */
async function endEarlierAttempts(host: ScriptHost, spec: LaunchSpec, signal: AbortSignal): Promise<void> {
  for (const attempt of attemptsOf(host.runs, spec.id)) {
    if (attempt >= spec.attempt) continue
    const directory = attemptDirectory(host.runs, spec.id, attempt)
    const marker = readMarker(directory)
    await voidWorker(directory)
    if (marker) await endAll(cageOf(identityOf(marker, readIdentity(directory, 'pid')), host.bootId), 0, signal)
    if (attempt <= spec.attempt - KEPT_ATTEMPTS) await removeAttempt(host.runs, spec.id, attempt)
  }
}

/** Everything that can be known before: the command, the user, the tools. @throws LaunchRefused */
export function checkLaunch(config: ScriptConfig, host: ScriptHost, tools: HostTools) {
  const found = findCommand(config.command, host.environment.PATH)
  if ('reason' in found) throw new LaunchRefused(found.reason)
  if (config.args.some((argument) => argument.includes('\0'))) {
    throw new LaunchRefused('An argument must not hold a NUL character')
  }
  return { path: found.path, user: runAs(config.user, tools) }
}

export function scriptConfig(spec: LaunchSpec): ScriptConfig {
  if (spec.config.runner === 'script') return spec.config
  throw new LaunchRefused(`The script runner cannot run a ${spec.config.runner} kind`)
}

export function toolsOf(host: ScriptHost): HostTools {
  if (host.tools && host.availability.available) return host.tools
  throw new LaunchRefused(host.availability.reason ?? 'The script runner is not available')
}

function makeOwnLeaf(host: ScriptHost, spec: LaunchSpec): string | null {
  const containment = host.containment()
  return containment.kind === 'cgroup' ? makeLeaf(containment.parent, spec.id, spec.attempt) : null
}

function newMarker(host: ScriptHost, spec: LaunchSpec): Marker {
  const containment = host.containment()
  const [binding] = spec.ports
  return {
    version: 1,
    instance: host.instanceId,
    id: spec.id,
    name: spec.name,
    kind: spec.kind,
    attempt: spec.attempt,
    boot_id: host.bootId,
    config_hmac: spec.configHmac,
    leaf: containment.kind === 'cgroup' ? `${containment.parent.path}/${spec.id}.${spec.attempt}` : null,
    host: binding?.host ?? null,
    port: binding?.hostPort ?? null,
    hive: ownIdentity(),
    created_at: new Date().toISOString(),
  }
}
