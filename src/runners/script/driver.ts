import { existsSync } from 'node:fs'
import type { RunnerConfig } from '../../kinds/kind.ts'
import {
  type Availability,
  type ExecCapable,
  type KindFacts,
  LaunchRefused,
  type LaunchSpec,
  type LogCapable,
  type PortBinding,
  type Prepared,
  type RunnerDriver,
  type RunnerHandle,
  RunnerUnreachable,
  type StatsCapable,
} from '../driver.ts'
import type { PauseSeeing, SurvivorTelling } from '../optional-capabilities.ts'
import { closeCgroupParent, sweepLeaves } from './cgroup.ts'
import { checkLaunch, scriptConfig } from './checks.ts'
import { findTool } from './command.ts'
import { cageOf, workerRuns } from './containment.ts'
import { execInCocoon } from './exec.ts'
import { parseHandle, type ScriptHandle } from './handle.ts'
import { makeRoots, openHost, type ScriptDriverOptions, type ScriptHost } from './host.ts'
import { accepts, listenerOwner } from './listener.ts'
import { readOutput } from './logs.ts'
import { inspectAttempt, listAttempts, targetOf } from './objects.ts'
import { pausedAmong } from './paused.ts'
import { endWithWorker, removeService, stopAttempt } from './removal.ts'
import { weakLimits } from './rlimits.ts'
import { attemptDirectory, sweepDrafts } from './run-directory.ts'
import { startAttempt } from './starting.ts'
import { survivorsOf } from './survivors.ts'
import { sweepUids } from './uids.ts'
import { ScriptUsage } from './usage.ts'
import { waitForEnd } from './waiting.ts'

export type { ScriptDriverOptions } from './host.ts'

/**
 * The runner of native processes. All it knows is below `<stateDir>/run` and `<stateDir>/work` and in the kernel, so a
 * cocoon outlives the Hive that launched it.
 *
 * @see cgroups(7), proc(5), setsid(2).
 */
export function createScriptDriver(
  options: ScriptDriverOptions,
): RunnerDriver & ExecCapable & StatsCapable & LogCapable & PauseSeeing & SurvivorTelling {
  const host = openHost(options)
  const usage = new ScriptUsage(host)
  const fallocate = findTool('fallocate', options.hostEnvironment.PATH)
  return {
    type: 'script',
    probe: (signal) => probe(host, signal),
    describe: (config) => describe(host, config),
    prepare: (spec, _onProgress, signal) => prepare(host, spec, signal),
    start: (spec, signal) => start(host, spec, signal),
    inspect: async (handle, signal) => inspectAttempt(host, parseHandle(handle), signal),
    wait: (handle, signal) => wait(host, parseHandle(handle), signal),
    stop: async (handle, graceMs, signal) => stopAttempt(host, parseHandle(handle), graceMs, signal),
    survivors: (handle) => survivorsOf(host, parseHandle(handle)),
    remove: async (handle, _options, signal) => removeService(host, parseHandle(handle), signal),
    list: async (signal) => {
      signal.throwIfAborted()
      return listAttempts(host, signal)
    },
    paused: async (handles) => pausedAmong(handles, host.bootId),
    listens: (handle, binding, signal) => listens(host, handle, { binding, signal }),
    exec: (handle, command, signal) => execInCocoon(host, parseHandle(handle), { command, signal }),
    stats: async (handle, signal) => {
      signal.throwIfAborted()
      return usage.of(parseHandle(handle))
    },
    logs: (handle, query, signal) => {
      const script = parseHandle(handle)
      const { directory, identity, bootId } = targetOf(host, script)
      return readOutput({ directory, attempt: script.attempt, fallocate, identity: identity(), bootId }, query, signal)
    },
    close: async () => {
      const containment = host.containment()
      if (containment.kind === 'cgroup') await closeCgroupParent(containment.parent)
    },
  }
}

async function probe(host: ScriptHost, signal: AbortSignal): Promise<Availability> {
  signal.throwIfAborted()
  const availability = makeRoots(host)
  if (!availability.available) return availability
  await sweepDrafts(host.runs)
  await sweepUids(host.runs, host.workRoot)
  for (const place of leafPlaces(host))
    await sweepLeaves(place, (id, attempt) => existsSync(attemptDirectory(host.runs, id, attempt)))
  return availability
}

function leafPlaces(host: ScriptHost): readonly string[] {
  const [containment, controllers] = [host.containment(), host.controllers()]
  const own = containment.kind === 'cgroup' ? [containment.parent.path] : []
  return controllers === 'systemd' ? own : [...own, ...Object.values(controllers.v1)]
}

function describe(host: ScriptHost, config: RunnerConfig): KindFacts {
  const { sandbox = 'none', user } = scriptConfig({ config })
  // An account that cocoons share keeps them apart from Hive, not from each other.
  const isolated = sandbox !== 'none' || user === 'auto'
  const facts = { isolated, containment: host.containment().kind }
  try {
    const { acting } = checkLaunch(scriptConfig({ config }), host)
    return { ...facts, available: true, reason: weakLimits(acting) }
  } catch (error) {
    if (error instanceof LaunchRefused) return { ...facts, available: false, reason: error.message }
    throw error
  }
}

async function prepare(host: ScriptHost, spec: LaunchSpec, signal: AbortSignal): Promise<Prepared> {
  signal.throwIfAborted()
  checkLaunch(scriptConfig(spec), host)
  const roots = makeRoots(host)
  if (!roots.available) throw new RunnerUnreachable(roots.reason ?? 'The state directory cannot be written')
  // The working directory and the uid are made by the start: a service that never gets there leaves nothing behind.
  return { exposed: [], pullMs: null }
}

async function start(host: ScriptHost, spec: LaunchSpec, signal: AbortSignal) {
  try {
    return await startAttempt(host, spec, signal)
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).syscall ? (error as NodeJS.ErrnoException).code : undefined
    if (code === undefined) throw error
    throw new RunnerUnreachable(`The run directory cannot be used (${code})`, { cause: error })
  }
}

async function wait(host: ScriptHost, script: ScriptHandle, signal: AbortSignal) {
  const exit = await waitForEnd(targetOf(host, script), signal)
  await endWithWorker(host, script, signal)
  return exit
}

async function listens(
  host: ScriptHost,
  handle: RunnerHandle,
  { binding, signal }: { readonly binding: PortBinding; readonly signal: AbortSignal },
): Promise<boolean> {
  signal.throwIfAborted()
  const { identity } = targetOf(host, parseHandle(handle))
  const runs = () => workerRuns(identity(), host.bootId)
  // First the cheap question: while a cocoon starts it is asked again and again, and the answer is no.
  if (!(await accepts(binding.host, binding.hostPort, signal)) || !runs()) return false
  const cocoon = identity()
  // Nearly always it is the worker itself; only otherwise all its processes are looked at.
  if (cocoon.worker && listenerOwner(binding.hostPort, [cocoon.worker]) === 'ours') return runs()
  const cage = cageOf(cocoon, host.bootId)
  const ask = () => listenerOwner(binding.hostPort, cage.members())
  const first = ask()
  if (first === 'stranger') await cage.look()
  const owner = first === 'stranger' ? ask() : first
  if (owner === 'stranger' && runs()) {
    throw new LaunchRefused(`Port ${binding.hostPort} is held by a process that is not part of the cocoon`, {
      reason: 'port',
    })
  }
  return (owner === 'ours' || owner === 'unknown') && runs()
}
