import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { cageOf } from './containment.ts'
import type { ScriptHandle } from './handle.ts'
import type { ScriptHost } from './host.ts'
import { readProc } from './identity.ts'
import { targetOf } from './objects.ts'

/** Clock ticks per second as /proc counts them: USER_HZ is 100 on every architecture Node runs on. */
const TICK_MS = 10

/** CPU time that a cocoon has used so far, in milliseconds; null = not known. */
export function cpuMs(host: ScriptHost, script: ScriptHandle): number | null {
  const identity = targetOf(host, script).identity()
  if (identity.leaf !== null) return leafCpuMs(identity.leaf)
  let ticks = 0
  for (const { pid } of cageOf(identity, host.bootId).members()) ticks += ticksOf(pid)
  return ticks * TICK_MS
}

/** cgroup-v2.rst: `cpu.stat` has `usage_usec` whether or not the controller is enabled. */
function leafCpuMs(leaf: string): number | null {
  try {
    const usage = /^usage_usec (\d+)$/m.exec(readFileSync(join(leaf, 'cpu.stat'), 'utf8'))?.[1]
    return usage === undefined ? null : Number(usage) / 1_000
  } catch {
    return null
  }
}

/** Fields 14 and 15 of proc_pid_stat(5): user and system time. */
function ticksOf(pid: number): number {
  const text = readProc(pid, 'stat') ?? ''
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) || 0) + (Number(fields[12]) || 0)
}
