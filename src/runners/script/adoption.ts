import { statSync } from 'node:fs'
import { join } from 'node:path'
import { type Launched, LaunchRefused, type LaunchSpec, type PortBinding, RunnerUnreachable } from '../driver.ts'
import { scriptConfig } from './checks.ts'
import { handleOf } from './handle.ts'
import type { ScriptHost } from './host.ts'
import { isAlive, type ProcessIdentity } from './identity.ts'
import { awaitWorker } from './launch.ts'
import { clearAttempt } from './leftovers.ts'
import { poll } from './pause.ts'
import { attemptDirectory, type Marker, makeVoid, readIdentity, readMarker, readSmall } from './run-directory.ts'

const ADOPT_LIMIT_MS = 10_000
/** How long whoever has called a launch off may take to clear it away. */
const CLEARING_LIMIT_MS = 3_000

/** Takes over an attempt that has been launched by somebody else. */
export async function adopt(host: ScriptHost, spec: LaunchSpec, signal: AbortSignal): Promise<Launched> {
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

export function launchedOf(
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

export type Fate = 'launched' | 'gone' | 'abandoned'

/**
 * Follows an attempt that somebody else made. `gone` = the maker cleared it away; `abandoned` = its maker died first, or
 * called it off and could not clear it away.
 */
export async function whatBecameOf(host: ScriptHost, directory: string, signal: AbortSignal): Promise<Fate> {
  let voidSince: number | null = null
  const ask = (): Fate | undefined => {
    const marker = readMarker(directory)
    if (marker === null) return 'gone'
    const launcher = readIdentity(directory, 'claim')
    // Its launcher may live on after its Hive: only when both are gone nobody will make the worker any more.
    const busy = isAlive(marker.hive) || (launcher !== null && isAlive(launcher))
    if (readIdentity(directory, 'pid') !== null) return 'launched'
    if (readSmall(directory, 'pid') !== null) voidSince ??= performance.now()
    if (voidSince !== null && performance.now() - voidSince > CLEARING_LIMIT_MS) return 'abandoned'
    return busy && marker.boot_id === host.bootId ? undefined : 'abandoned'
  }
  const fate = await poll(ask, { limitMs: ADOPT_LIMIT_MS, longestMs: 10, signal })
  if (fate) return fate
  throw new RunnerUnreachable('Another start of this attempt is still under way')
}

/** Without a worker, and made sure that none comes: then the attempt may begin anew. */
export async function clearAbandoned(host: ScriptHost, spec: LaunchSpec, signal: AbortSignal): Promise<void> {
  const directory = attemptDirectory(host.runs, spec.id, spec.attempt)
  signal.throwIfAborted()
  if (!(await makeVoid(directory, 'pid')) && readIdentity(directory, 'pid') !== null) return
  await clearAttempt(host, spec)
}
