import { DEFAULT_PIDS } from '../../kinds/container-config.ts'
import type { Resources } from '../../kinds/kind.ts'

/** The limits that an engine can make hold: rootless ones have only what is delegated to them, on cgroups v1 nothing. */
export interface KeptLimits {
  readonly memory: boolean
  readonly cpus: boolean
  readonly pids: boolean
}

/** Why an engine cannot run a kind with these limits; null = it can. A default that does not hold is let pass. */
export function limitFault({ memoryBytes, cpus, pids }: Resources, kept: KeptLimits): string | null {
  const isAsked = { memory: memoryBytes !== null, cpus: cpus !== null, pids: pids !== null && pids !== DEFAULT_PIDS }
  const names = (['memory', 'cpus', 'pids'] as const).filter((name) => isAsked[name] && !kept[name])
  if (names.length === 0) return null
  const fields = names.map((name) => `resources.${name}`).join(', ')
  return `this engine has no cgroup controller to make ${fields} hold (it is rootless on cgroups v1, or none is delegated to it): leave it out, or use an engine that can`
}
