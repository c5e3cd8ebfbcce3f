import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { RunnerHandle } from '../driver.ts'
import type { CocoonIdentity } from './cage.ts'
import { parseHandle } from './handle.ts'
import { readStat } from './identity.ts'

/** Keys of the cocoons whose worker was stopped by a signal, or whose cgroup was frozen. */
export function pausedAmong(handles: ReadonlyMap<string, RunnerHandle>, bootId: string): ReadonlySet<string> {
  const isPaused = (handle: RunnerHandle) => standsStill(parseHandle(handle).identity, bootId)
  return new Set([...handles].filter(([, handle]) => isPaused(handle)).map(([key]) => key))
}

/** proc_pid_stat(5): state T is stopped on a signal (t, by a debugger, is not meant). cgroups(7): `frozen 1`. */
function standsStill({ bootId, worker, leaf }: CocoonIdentity, currentBoot: string): boolean {
  const stat = worker && bootId === currentBoot ? readStat(worker.pid) : null
  if (stat === null || stat.startTime !== worker?.startTime) return false
  return stat.state === 'T' || (leaf !== null && isFrozen(leaf))
}

function isFrozen(leaf: string): boolean {
  try {
    return /^frozen 1$/m.test(readFileSync(join(leaf, 'cgroup.events'), 'utf8'))
  } catch {
    return false // the leaf is gone
  }
}
