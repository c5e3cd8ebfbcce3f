import { statSync } from 'node:fs'
import { join } from 'node:path'
import { type Launched, LaunchRefused, type LaunchSpec, type PortBinding, RunnerUnreachable } from '../driver.ts'
import type { CocoonIdentity } from './cage.ts'
import { type CheckedLaunch, checkAndClaim, scriptConfig } from './checks.ts'
import { cageOf } from './containment.ts'
import { openChecked } from './digest.ts'
import { endAll, settleLauncher } from './ending.ts'
import { cocoonEnvironment } from './environment.ts'
import { handleOf, markOf } from './handle.ts'
import type { ScriptHost } from './host.ts'
import { isAlive, ownIdentity, type ProcessIdentity } from './identity.ts'
import { awaitWorker, spawnLauncher } from './launch.ts'
import { clearAttempt, endEarlierAttempts } from './leftovers.ts'
import { poll } from './pause.ts'
import { verifyPortsFree } from './ports.ts'
import { ContainmentRefused } from './refusal.ts'
import { makeLeaves, planRoom, type Room } from './room.ts'
import { attemptDirectory, createAttempt, type Marker, readIdentity, readMarker, voidWorker } from './run-directory.ts'
import { openWorkingDirectory, planWorkingDirectory } from './working-directory.ts'
import { wrapCommand } from './wrapping.ts'

const ADOPT_LIMIT_MS = 10_000
/** Others may clear an attempt away while we look at it, but not for ever. */
const MAX_TRIES = 10

/** Launches one attempt, or adopts it if somebody has launched it already. Errors as in the driver contract. */
export async function startAttempt(host: ScriptHost, spec: LaunchSpec, signal: AbortSignal): Promise<Launched> {
  const directory = attemptDirectory(host.runs, spec.id, spec.attempt)
  for (let tries = 0; tries < MAX_TRIES; tries++) {
    signal.throwIfAborted()
    const isNew = readMarker(directory) === null && (await createFresh(host, spec))
    if (isNew) return launchFresh(host, spec, signal)
    const found = await whatBecameOf(host, directory, signal)
    if (found === 'launched') return adopt(host, spec, signal)
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
    if (hopeless || (await voidWorker(directory))) await clearAttempt(host, spec)
    if (!(error instanceof ContainmentRefused)) throw error
    host.giveUpCgroups(error.message)
    host.warn(`${error.message}; cocoons are contained by process group from now on`)
    return startAttempt(host, spec, signal)
  }
}

async function createFresh(host: ScriptHost, spec: LaunchSpec): Promise<boolean> {
  const room = planRoom(host, spec)
  return createAttempt(host.runs, newMarker(host, spec, room), room.plan)
}

async function launch(host: ScriptHost, spec: LaunchSpec, signal: AbortSignal): Promise<Launched> {
  const config = scriptConfig(spec)
  const checked = await checkAndClaim(spec, host)
  const directory = attemptDirectory(host.runs, spec.id, spec.attempt)
  const program = config.sha256 ? await openChecked(checked.path, config.sha256, signal) : null
  const work = await openWork(host, spec, checked).catch(async (error) => {
    await program?.close()
    throw error
  })
  try {
    const room = await makeRoom(host, spec, signal)
    const around = { searchPath: host.environment.PATH, stateDir: host.stateDir, work: work.path }
    const plan = {
      ...{ directory, tools: checked.tools, launcher: await host.launcher(), leaf: room.leaf, scope: room.scope },
      mark: markOf(spec.id, spec.attempt),
      command: wrapCommand(config, checked, around),
      programFd: program?.fd ?? null,
      environment: { ...room.environment, ...cocoonEnvironment(spec, host.environment, work.path) },
      cwd: work.pinned,
    }
    signal.throwIfAborted()
    const launcher = await spawnLauncher(plan)
    const members = membersAround(host, spec, room.leaf)
    const worker = await awaitWorker({ ...plan, members, scoped: room.scope.length > 0 }, launcher, signal)
    await program?.verifyUnchanged().catch(async (error) => {
      await endAll(membersCage(host, spec, { leaf: room.leaf, worker }), 0, signal)
      throw error
    })
    return launchedOf(directory, spec, { worker, adopted: false })
  } finally {
    await work.close()
    await program?.close()
  }
}

/** Everything that already runs of an attempt whose handle is not made yet. */
function membersAround(host: ScriptHost, spec: LaunchSpec, leaf: string | null) {
  return (worker: ProcessIdentity) => membersCage(host, spec, { leaf, worker }).members()
}

function membersCage(host: ScriptHost, spec: LaunchSpec, { leaf, worker }: Pick<CocoonIdentity, 'leaf' | 'worker'>) {
  return cageOf({ bootId: host.bootId, worker, leaf, mark: markOf(spec.id, spec.attempt) }, host.bootId)
}

/** The leaves are made, what earlier attempts left is ended, and then the ports must be free. All of it is over on return. */
async function makeRoom(host: ScriptHost, spec: LaunchSpec, signal: AbortSignal): Promise<Room> {
  const room = planRoom(host, spec)
  const ready = endEarlierAttempts(host, spec, signal).then(() => verifyPortsFree(spec.ports, signal))
  const made = await Promise.allSettled([makeLeaves(host, room), ready])
  for (const each of made) if (each.status === 'rejected') throw each.reason
  return room
}

/** Opens the working directory of an attempt. Repeatable. */
export function openWork(host: ScriptHost, spec: LaunchSpec, { user }: CheckedLaunch) {
  return openWorkingDirectory(planWorkingDirectory(spec, scriptConfig(spec).workingDir, host.workRoot), user)
}

async function adopt(host: ScriptHost, spec: LaunchSpec, signal: AbortSignal): Promise<Launched> {
  const directory = attemptDirectory(host.runs, spec.id, spec.attempt)
  const marker = readMarker(directory)
  const recorded = readIdentity(directory, 'pid')
  // Of an earlier boot nothing runs, whatever has the same number now.
  if (recorded && marker?.boot_id !== host.bootId)
    return launchedOf(directory, spec, { worker: recorded, adopted: true })
  // Through what it was executed is not asked any more: a wrapper that fails ends, and is seen so.
  const command = { argv: [scriptConfig(spec).command], wrappers: [], sandboxed: false }
  try {
    const launcher = readIdentity(directory, 'claim')
    const worker = await awaitWorker({ directory, command, members: () => [], scoped: false }, launcher, signal)
    return launchedOf(directory, spec, { worker, adopted: true })
  } catch (error) {
    if (error instanceof LaunchRefused) await clearAttempt(host, spec)
    throw error
  }
}

function launchedOf(
  directory: string,
  spec: LaunchSpec,
  { worker, adopted }: { readonly worker: ProcessIdentity; readonly adopted: boolean },
): Launched {
  const marker = readMarker(directory)
  if (marker === null || marker.id !== spec.id) throw new RunnerUnreachable('The run directory was changed meanwhile')
  const { host, port } = marker
  return {
    handle: handleOf(marker, worker),
    endpoint: host !== null && port !== null ? { host, port } : null,
    pid: worker.pid,
    containerId: null,
    startedAt: statSync(join(directory, 'pid')).mtime.toISOString(),
    adopted,
    ports: adopted ? portsOf(marker) : null,
    createMs: null,
  }
}

/** As its launch was given them: a table that lost its last writes may have forgotten. null = the marker is too old to say. */
function portsOf({ host, ports }: Marker): readonly PortBinding[] | null {
  if (ports === undefined || (host === null && ports.length > 0)) return null
  return ports.map(({ name, port }) => ({ port, host: host ?? '', hostPort: port, protocol: 'tcp', name }))
}

type Fate = 'launched' | 'gone' | 'abandoned'

/** Follows an attempt that somebody else made. `gone` = the maker cleared it away; `abandoned` = its maker died first. */
async function whatBecameOf(host: ScriptHost, directory: string, signal: AbortSignal): Promise<Fate> {
  const ask = (): Fate | undefined => {
    const marker = readMarker(directory)
    if (marker === null) return 'gone'
    const launcher = readIdentity(directory, 'claim')
    // Its launcher may live on after its Hive: only when both are gone nobody will make the worker any more.
    const busy = isAlive(marker.hive) || (launcher !== null && isAlive(launcher))
    if (readIdentity(directory, 'pid') !== null) return 'launched'
    return busy && marker.boot_id === host.bootId ? undefined : 'abandoned'
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
  await clearAttempt(host, spec)
}

function newMarker(host: ScriptHost, spec: LaunchSpec, { leaf, limits }: Room): Marker {
  const { sandbox } = scriptConfig(spec)
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
    leaf,
    limits: limits.leaves,
    sandbox: (sandbox ?? 'none') === 'none' ? null : sandbox,
    host: binding?.host ?? null,
    port: binding?.hostPort ?? null,
    ports: spec.ports.map(({ name, hostPort }) => ({ name, port: hostPort })),
    hive: ownIdentity(),
    created_at: new Date().toISOString(),
  }
}
