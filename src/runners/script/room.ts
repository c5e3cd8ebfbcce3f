import type { LaunchSpec } from '../driver.ts'
import { makeLeaf } from './cgroup.ts'
import { scriptConfig } from './checks.ts'
import { leafOf } from './containment.ts'
import type { ScriptHost } from './host.ts'
import { type CgroupLimits, cgroupLimits, enableControllers, makeLimits } from './limits.ts'
import { ContainmentRefused } from './refusal.ts'
import { scopeCommand, scopeOomFile } from './scope.ts'

/** Where in the kernel an attempt runs: decided before its marker is written, made after it. */
export interface Room {
  readonly leaf: string | null
  readonly limits: CgroupLimits
  /** systemd-run and its options; empty = no scope. */
  readonly scope: readonly string[]
  /** What only the scope's maker needs. */
  readonly environment: Readonly<Record<string, string>>
  /** The launcher's `plan`. */
  readonly plan: string
}

const NO_LIMITS: CgroupLimits = { leaves: [], writes: [], oomFile: null }

/** Depends on nothing but host and spec: the same for the marker and for the launch. */
export function planRoom(host: ScriptHost, spec: LaunchSpec): Room {
  const { resources, sandbox } = scriptConfig(spec)
  const containment = host.containment()
  const leaf = leafOf(containment, spec.id, spec.attempt)
  if (containment.kind === 'scope') {
    const { parent } = containment
    const unset = Object.keys(parent.environment).filter((name) => !Object.hasOwn(spec.env, name))
    const oom = resources.memoryBytes === null || leaf === null ? null : scopeOomFile(leaf)
    const scope = scopeCommand(parent, { id: spec.id, attempt: spec.attempt, resources })
    // systemd-run adds INVOCATION_ID to what it executes.
    const plan = planText([], oom, ['INVOCATION_ID', ...unset])
    return { leaf, limits: NO_LIMITS, scope, environment: parent.environment, plan }
  }
  const limits = limitsOf(host, spec, { leaf, sandboxed: (sandbox ?? 'none') !== 'none' })
  return { leaf, limits, scope: [], environment: {}, plan: planText(limits.leaves, limits.oomFile, []) }
}

/** @throws ContainmentRefused  the leaf cannot be made. @throws LaunchRefused  the kernel does not take the limits. */
export async function makeLeaves(host: ScriptHost, { leaf, limits }: Room): Promise<void> {
  const containment = host.containment()
  if (leaf !== null && containment.kind === 'cgroup') {
    const { parent } = containment
    await makeLeaf(parent, leaf).catch(() => {
      throw new ContainmentRefused()
    })
    // A limit of a v2 leaf: its parent may have been removed and made again since the controllers were enabled.
    if (limits.writes.some(({ file }) => file.startsWith(leaf))) enableControllers(parent)
  }
  await makeLimits(limits)
}

function limitsOf(
  host: ScriptHost,
  spec: LaunchSpec,
  place: { leaf: string | null; sandboxed: boolean },
): CgroupLimits {
  const { resources } = scriptConfig(spec)
  const { memoryBytes, cpus, pids } = resources
  if (memoryBytes === null && cpus === null && pids === null) return NO_LIMITS
  const controllers = host.controllers()
  if (controllers === 'systemd') return NO_LIMITS
  return cgroupLimits(controllers, resources, { ...place, name: `${spec.id}.${spec.attempt}` })
}

function planText(leaves: readonly string[], oomFile: string | null, unset: readonly string[]): string {
  const steps = [...leaves.map((leaf) => `join ${leaf}`), ...unset.map((name) => `unset ${name}`)]
  return [...steps, ...(oomFile === null ? [] : [`oom ${oomFile}`])].map((step) => `${step}\n`).join('')
}
