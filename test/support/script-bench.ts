import { randomUUID } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { mkdtemp, readFile as readFileSoon, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import type { LaunchSpec, RunnerDriver } from '../../src/runners/driver.ts'
import { createScriptDriver, type ScriptDriverOptions } from '../../src/runners/script/driver.ts'
import { openControllers } from '../../src/runners/script/limits.ts'
import { scriptSpec } from './launch-spec.ts'

export const HTTPD = join(import.meta.dirname, 'fixtures', 'httpd.mjs')
/** A program that prints what a cocoon can reach. */
export const INSIDE = join(import.meta.dirname, 'fixtures', 'inside.mjs')

/** What this host can do: the tests of `cgroup` run only where a v2 leaf can be made. */
export const CONTAINMENTS = ['cgroup', 'group'] as const

export interface ScriptBench {
  readonly stateDir: string
  readonly instanceId: string
  readonly warnings: string[]
  options(overrides?: Partial<ScriptDriverOptions>): ScriptDriverOptions
  driver(overrides?: Partial<ScriptDriverOptions>): RunnerDriver
  cleanup(): Promise<void>
}

/** A state directory of its own; `cleanup` ends and removes everything that was started in it. */
export async function openScriptBench(options: Partial<ScriptDriverOptions> = {}): Promise<ScriptBench> {
  const stateDir = await mkdtemp(join(tmpdir(), 'hive-script-'))
  const instanceId = randomUUID().replaceAll('-', '')
  const warnings: string[] = []
  const instances = new Set([instanceId])
  const optionsOf: ScriptBench['options'] = (overrides = {}) => ({
    stateDir,
    instanceId,
    hostEnvironment: { PATH: process.env['PATH'] ?? null, HOME: null, LANG: null, TZ: null, TMPDIR: null },
    ...options,
    ...overrides,
  })
  const driver: ScriptBench['driver'] = (overrides) => {
    const merged = { onWarning: (message: string) => warnings.push(message), ...optionsOf(overrides) }
    instances.add(merged.instanceId)
    return createScriptDriver(merged)
  }
  const cleanup = async () => {
    const signal = AbortSignal.timeout(20_000)
    for (const instance of instances) {
      const each = driver({ instanceId: instance })
      for (const object of await each.list(signal)) await each.remove(object.handle, { volumes: true }, signal)
      await each.close()
    }
    await rm(stateDir, { recursive: true, force: true })
  }
  return { stateDir, instanceId, warnings, options: optionsOf, driver, cleanup }
}

/** Why cgroup containment cannot be tested here; false = it can. */
export function noCgroups(): string | false {
  const driver = createScriptDriver({
    stateDir: '/nonexistent',
    instanceId: randomUUID().replaceAll('-', ''),
    hostEnvironment: { PATH: null, HOME: null, LANG: null, TZ: null, TMPDIR: null },
  })
  const { containment } = driver.describe(scriptSpec({ command: 'sh' }, { port: null }).config)
  void driver.close()
  return containment === 'cgroup' ? false : 'no cgroup v2 leaf can be made here'
}

/** Why limits by cgroup cannot be tested here; false = they can: memory, cpu and pids on v1, as on a hybrid host. */
export function noLimits(): string | false {
  const { v1 } = openControllers(randomUUID().replaceAll('-', ''), null)
  return v1.memory && v1.cpu && v1.pids ? false : 'the controllers memory, cpu and pids are not on v1 here'
}

/** A test's own bench, driver and signal, cleaned up after it. */
export async function useScriptBench(t: TestContext, options: Partial<ScriptDriverOptions> = {}) {
  const bench = await openScriptBench(options)
  t.after(bench.cleanup)
  const driver = bench.driver()
  const signal = AbortSignal.timeout(90_000)
  const launch = async (spec: LaunchSpec) => {
    await driver.prepare(spec, () => {}, signal)
    return driver.start(spec, signal)
  }
  return { ...bench, newDriver: bench.driver, driver, signal, launch }
}

/** A launch of `sh -c text` with the rest as its arguments. */
export function shSpec(text: string, overrides: Partial<LaunchSpec> & { port?: number | null } = {}): LaunchSpec {
  return scriptSpec({ command: 'sh', args: ['-c', text] }, { port: null, ...overrides })
}

/** What an attempt has written. */
export function outputOf(stateDir: string, { id, attempt }: LaunchSpec, stream: 'stdout' | 'stderr'): Promise<string> {
  return readFileSoon(join(stateDir, 'run', id, String(attempt), 'output', `${stream}.log`), 'utf8')
}

/** True if a process of this number exists and is not a zombie. */
export function processRuns(pid: number): boolean {
  if (!existsSync(`/proc/${pid}/stat`)) return false
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
    return !'ZX'.includes(stat.slice(stat.lastIndexOf(')') + 2)[0] ?? 'X')
  } catch {
    return false
  }
}
