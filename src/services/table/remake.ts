import type { KindSpec, RunnerConfig } from '../../kinds/kind.ts'
import type { OwnedObject, RunnerStatus } from '../../runners/driver.ts'
import { fqnOf } from '../names.ts'
import { withoutSecrets } from '../spawn.ts'
import { endAttempt } from '../state/attempt.ts'
import type { PortLease, ServiceRecord, ServiceRow } from '../state/record.ts'
import { NO_RESTARTS } from '../state/restart.ts'

/** What is known of a service whose row is lost: what its runner still holds of it. */
export interface Remains {
  readonly runner: ServiceRecord['runner']
  readonly object: OwnedObject
  readonly status: RunnerStatus
  /** The kind it names, if there still is one for the same runner. */
  readonly kind: KindSpec | null
  /** What to use where there is none; only its stop grace matters, since nothing re-made can be launched again. */
  readonly fallback: RunnerConfig
}

/**
 * Makes a row anew from what runs, or ran. Its secrets are gone with the old row, so it is followed, served, stopped and
 * removed like any other, but never launched again (HIVE_SECRETS_LOST).
 */
export function remakeRow(remains: Remains, now: string): ServiceRow {
  const { object, status, kind, fallback } = remains
  const leases = leasesOf(remains)
  const running: ServiceRow = {
    record: recordOf(remains, leases, now),
    targetAttempt: object.attempt,
    intent: { by: 'api', reason: 'its record was re-made', volumes: false, recreate: false },
    attemptAt: object.createdAt ?? now,
    removedAt: null,
    mayExist: true,
    handle: object.handle,
    launchedAttempt: object.attempt,
    endpoint: status.state === 'running' ? status.endpoint : null,
    leases,
    portMoves: 0,
    config: neverLaunched(kind?.config ?? fallback),
    gated: leases.length > 0,
    requestHmac: '',
    configHmac: '',
    restart: NO_RESTARTS,
    boot: null,
    leaseUntil: null,
    sealed: null,
  }
  if (status.state === 'exited')
    return endAttempt(running, { type: 'exited', exit: status.exit, endedAt: status.endedAt }, now) ?? running
  return status.state === 'missing' ? (endAttempt(running, { type: 'gone' }, now) ?? running) : running
}

/** What could not be launched again must be neither restarted nor put to sleep. */
function neverLaunched(config: RunnerConfig): RunnerConfig {
  return {
    ...withoutSecrets(config),
    restart: { ...config.restart, policy: 'never' },
    idleTimeoutMs: null,
    wake: false,
  }
}

function recordOf({ runner, object, status, kind }: Remains, leases: readonly PortLease[], now: string): ServiceRecord {
  const { id, name, attempt } = object
  const startedAt = status.state === 'running' ? status.startedAt : null
  const started = startedAt === null ? null : new Date(startedAt).toISOString()
  return {
    id,
    fqn: fqnOf(name),
    name,
    kind: object.kind,
    runner,
    state: 'running',
    desired: status.state === 'running' || status.state === 'unreachable' ? 'running' : 'stopped',
    health: 'none',
    ready: true,
    attempt,
    restarts: Math.max(0, attempt - 1),
    pid: status.state === 'running' ? status.pid : null,
    container_id: textOf(object.handle.data['containerId']),
    image: kind === null || kind.image === '' ? null : kind.image,
    url: null,
    origin_url: null,
    ports: leases.map(({ port, host, hostPort, protocol }) => ({ port, host, host_port: hostPort, protocol })),
    labels: {},
    request_id: id,
    created_at: object.createdAt ?? now,
    started_at: started,
    ready_at: started,
    ended_at: null,
    expires_at: null,
    idle_at: null,
    observed_at: null,
    exit: null,
    error: null,
    next_attempt_at: null,
    progress: null,
    timings: { queued_ms: null, pull_ms: null, create_ms: null, start_ms: null, ready_ms: null },
    revision: 1,
  }
}

/** The exposed port alone: further ones are not written down where they could be read from again. */
function leasesOf({ object, status }: Remains): readonly PortLease[] {
  const endpoint = status.state === 'running' ? status.endpoint : null
  if (object.port === null || endpoint === null) return []
  const { host, port: hostPort } = endpoint
  return [{ port: object.port, host, hostPort, protocol: 'tcp', name: null, fixed: false, releasedAt: null }]
}

function textOf(value: unknown): string | null {
  return typeof value === 'string' ? value : null
}
