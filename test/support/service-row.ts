import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import type { ContainerConfig, KindSpec, ScriptConfig } from '../../src/kinds/kind.ts'
import { newRow } from '../../src/services/spawn.ts'
import type { Fact } from '../../src/services/state/fact.ts'
import type { PortLease, ServiceRow, ServiceState } from '../../src/services/state/record.ts'
import { type IntentRequest, intend, observe, type Step } from '../../src/services/state/step.ts'
import { createVault } from '../../src/services/table/vault.ts'
import { scriptConfig } from './launch-spec.ts'

/** Rows as the supervisor would have made them: each is reached by facts and intents, none is put together by hand. */

export const vault = createVault(Buffer.alloc(32, 7))
export const NOW = '2026-01-02T03:04:05.678Z'

export function scriptKind(id: string, overrides: Partial<ScriptConfig> = {}): KindSpec {
  const config = scriptConfig({ command: 'worker', readyTimeoutMs: 5_000, stopGraceMs: 50, port: 8080, ...overrides })
  return { id, runner_type: 'script', runner_config: { command: config.command }, image: '', config }
}

export function containerKind(id: string, overrides: Partial<ContainerConfig> = {}): KindSpec {
  const {
    command: _command,
    portNames: _portNames,
    args: _args,
    runner: _runner,
    ...common
  } = scriptConfig({ command: '' })
  const config: ContainerConfig = {
    ...common,
    runner: 'docker',
    image: 'busybox',
    command: null,
    args: null,
    containerName: null,
    volumes: [],
    ports: [],
    security: {
      capAdd: [],
      capDrop: [],
      readOnly: false,
      seccomp: null,
      apparmor: null,
      selinux: null,
      userns: null,
      allowSudo: false,
    },
    gpus: null,
    pull: 'missing',
    readyTimeoutMs: 5_000,
    stopGraceMs: 50,
    ...overrides,
  }
  return { id, runner_type: config.runner, runner_config: { image: config.image }, image: config.image, config }
}

export interface Born {
  readonly id?: string
  readonly name?: string
  readonly kind?: KindSpec
  readonly requestId?: string
  readonly now?: string
  readonly labels?: Readonly<Record<string, string>>
}

export function requestedRow(born: Born = {}): ServiceRow {
  const { id = randomUUID(), kind = scriptKind('native'), now = NOW, labels = {} } = born
  const { name = `cocoon-${id.slice(0, 8)}`, requestId = `req-${id}` } = born
  return newRow(vault, kind, { kind: kind.id, labels }, { id, name, requestId, now })
}

export function lease(hostPort: number, overrides: Partial<PortLease> = {}): PortLease {
  const fixed = { host: '127.0.0.1', protocol: 'tcp', name: null, fixed: false, releasedAt: null } as const
  return { port: hostPort, hostPort, ...fixed, ...overrides }
}

/** One of every fact; each is the ordinary one of its type. */
export const FACTS = {
  preparing: { type: 'preparing' },
  starting: { type: 'starting', leases: [lease(20_000)], gated: true, pullMs: null, queuedMs: 3 },
  ports: { type: 'ports', leases: [lease(20_001)] },
  launched: {
    type: 'launched',
    handle: { version: 1, runner: 'fake', data: { id: 'x', attempt: 1 } },
    endpoint: { host: '127.0.0.1', port: 20_000 },
    pid: 41,
    containerId: null,
    startedAt: NOW,
    createMs: null,
    startMs: 5,
    boot: 'boot-1',
  },
  ready: { type: 'ready' },
  uses: {
    type: 'uses',
    uses: [{ name: 'db', service: 'pg', service_id: 'pg-id', host: '127.0.0.1', port: 20_005 }],
  },
  exited: { type: 'exited', exit: { code: 7, signal: null, oom: false }, endedAt: null },
  not_ready: { type: 'not_ready', exit: null, detail: 'it did not listen' },
  unhealthy: { type: 'unhealthy', exit: { code: 143, signal: 'SIGTERM', oom: false }, detail: '/health answered 503' },
  health: { type: 'health', health: 'failing' },
  gone: { type: 'gone' },
  refused: { type: 'refused', error: { code: 'HIVE_LAUNCH_REFUSED', detail: 'no such image' }, unavailable: false },
  leased: { type: 'leased', until: NOW },
  stopping: { type: 'stopping' },
  stopped: { type: 'stopped', exit: { code: 143, signal: 'SIGTERM', oom: false } },
  next_attempt: { type: 'next_attempt' },
  removed: { type: 'removed' },
  trouble: { type: 'trouble', error: { code: 'HIVE_RUNNER_UNAVAILABLE', detail: 'down' } },
  observed: { type: 'observed', pid: 42, endpoint: { host: '127.0.0.1', port: 20_002 }, boot: 'boot-1' },
} as const satisfies { readonly [Type in Fact['type']]: Extract<Fact, { type: Type }> }

export function changedRow(step: Step): ServiceRow {
  assert.equal(step.outcome, 'changed', step.outcome === 'refused' ? step.reason : step.outcome)
  return step.outcome === 'changed' ? step.row : assert.fail()
}

/** Applies facts about the row's current attempt; each must change it. */
export function through(row: ServiceRow, ...facts: readonly Fact[]): ServiceRow {
  return facts.reduce((now, fact) => changedRow(observe(now, now.record.attempt, fact, NOW)), row)
}

export function wished(row: ServiceRow, request: Omit<IntentRequest, 'by'>): ServiceRow {
  return changedRow(intend(row, { by: 'api', ...request }))
}

const { preparing, starting, launched, ready, exited, gone, refused, stopping, stopped, removed } = FACTS
const launchedFacts = [preparing, starting, launched] as const

/** A row of attempt 1 in each state, wanted to run except where the state says otherwise. */
export function rowIn(state: ServiceState, born: Born = {}): ServiceRow {
  const row = requestedRow(born)
  switch (state) {
    case 'requested':
      return row
    case 'preparing':
      return through(row, preparing)
    case 'starting':
      return through(row, ...launchedFacts)
    case 'running':
      return through(row, ...launchedFacts, ready)
    case 'stopping':
      return through(wished(through(row, ...launchedFacts, ready), { desired: 'stopped' }), stopping)
    case 'stopped':
      return through(wished(through(row, ...launchedFacts, ready), { desired: 'stopped' }), stopping, stopped)
    case 'rejected':
      return through(row, preparing, refused)
    case 'failed':
      return through(row, ...launchedFacts, exited)
    case 'lost':
      return through(row, ...launchedFacts, ready, gone)
    case 'removed':
      return through(wished(through(row, ...launchedFacts, exited), { desired: 'removed' }), removed)
  }
}
