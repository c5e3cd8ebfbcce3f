import { randomUUID } from 'node:crypto'
import { type Launched, LaunchRefused, type LaunchSpec, RunnerUnreachable } from '../driver.ts'
import { adopt, clearAbandoned, launchedOf, whatBecameOf } from './adoption.ts'
import type { CocoonIdentity } from './cage.ts'
import { leafCage } from './cgroup.ts'
import { type CheckedLaunch, checkAndClaim, scriptConfig } from './checks.ts'
import { cageOf } from './containment.ts'
import { openChecked } from './digest.ts'
import { endAll } from './ending.ts'
import { cocoonEnvironment } from './environment.ts'
import { markOf } from './handle.ts'
import type { ScriptHost } from './host.ts'
import { ownIdentity, type ProcessIdentity } from './identity.ts'
import { awaitWorker, spawnLauncher } from './launch.ts'
import { clearAttempt, endEarlierAttempts } from './leftovers.ts'
import { verifyPortsFree } from './ports.ts'
import { ContainmentRefused } from './refusal.ts'
import { makeLeaves, planRoom, type Room } from './room.ts'
import { attemptDirectory, createAttempt, launcherView, type Marker, makeVoid, readMarker } from './run-directory.ts'
import { openWorkingDirectory, planWorkingDirectory } from './working-directory.ts'
import { wrapCommand } from './wrapping.ts'

/** Others may clear an attempt away while we look at it, but not for ever. */
const MAX_TRIES = 10

/** Launches one attempt, or adopts it if somebody has launched it already. Errors as in the driver contract. */
export async function startAttempt(host: ScriptHost, spec: LaunchSpec, signal: AbortSignal): Promise<Launched> {
  const directory = attemptDirectory(host.runs, spec.id, spec.attempt)
  for (let tries = 0; tries < MAX_TRIES; tries++) {
    signal.throwIfAborted()
    const marker = readMarker(directory) === null ? await createFresh(host, spec) : null
    if (marker) return launchFresh(host, spec, { marker, signal })
    const found = await whatBecameOf(host, directory, signal)
    if (found === 'launched') return adopt(host, spec, signal)
    if (found === 'abandoned') await clearAbandoned(host, spec, signal)
  }
  throw new RunnerUnreachable(`The run directory ${directory} is damaged: remove it`)
}

interface Fresh {
  readonly marker: Marker
  readonly signal: AbortSignal
}

async function launchFresh(host: ScriptHost, spec: LaunchSpec, fresh: Fresh): Promise<Launched> {
  try {
    return await launch(host, spec, fresh)
  } catch (error) {
    const directory = attemptDirectory(host.runs, spec.id, spec.attempt)
    const hopeless = error instanceof LaunchRefused || error instanceof ContainmentRefused
    // A worker that has recorded itself stays for a second start to adopt; otherwise none comes any more.
    if (hopeless || (await makeVoid(directory, 'pid'))) await clearAttempt(host, spec)
    if (!(error instanceof ContainmentRefused)) throw error
    host.giveUpCgroups(error.message)
    host.warn(`${error.message}; cocoons are contained by process group from now on`)
    return startAttempt(host, spec, fresh.signal)
  }
}

/** Null = somebody else has begun this attempt. */
async function createFresh(host: ScriptHost, spec: LaunchSpec): Promise<Marker | null> {
  const room = planRoom(host, spec)
  const marker = newMarker(host, spec, room)
  return (await createAttempt(host.runs, marker, room.plan)) ? marker : null
}

async function launch(host: ScriptHost, spec: LaunchSpec, { marker, signal }: Fresh): Promise<Launched> {
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
    const { stateDir, engineSockets } = host
    const around = { searchPath: host.environment.PATH, stateDir, engineSockets, work: work.path }
    const plan = {
      ...{ directory, view: launcherView(directory, marker), tools: checked.tools, launcher: await host.launcher() },
      ...{ leaf: room.leaf, scope: room.scope },
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
  // A worker of this very attempt may be there whose run directory was taken away: it must not get company.
  if (room.leaf !== null) await endAll(leafCage(room.leaf), 0, signal)
  const ready = endEarlierAttempts(host, spec, signal).then(() => verifyPortsFree(spec.ports, signal))
  const made = await Promise.allSettled([makeLeaves(host, room), ready])
  for (const each of made) if (each.status === 'rejected') throw each.reason
  return room
}

/** Opens the working directory of an attempt. Repeatable. */
export function openWork(host: ScriptHost, spec: LaunchSpec, { user }: CheckedLaunch) {
  return openWorkingDirectory(planWorkingDirectory(spec, scriptConfig(spec).workingDir, host.workRoot), user)
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
    ticket: randomUUID(),
    hive: ownIdentity(),
    created_at: new Date().toISOString(),
  }
}
