import type { ServiceRecord } from '../services/state/record.ts'
import type { StatsSample } from '../stats/sample.ts'

/** What it used at one moment. */
export const sample: StatsSample = {
  at: '2026-11-23T08:00:10.000Z',
  attempt: 1,
  cpu_seconds: 0.42,
  cpu_percent: 1.5,
  memory_bytes: 36_212_736,
  memory_limit_bytes: null,
  processes: 1,
  threads: 11,
  open_files: 24,
  network_rx_bytes: null,
  network_tx_bytes: null,
  unknown: { network: 'a native process shares the network of its host' },
}

/** One service along its life, and two kinds: what the examples of the API are made of. */

const PORT = 20_481

export const requested: ServiceRecord = {
  id: '0f5b8f60-3c1d-4c57-9a58-5e2f1d1f7a3b',
  fqn: 'cocoons:worker-1',
  name: 'worker-1',
  kind: 'native',
  runner: 'script',
  state: 'requested',
  desired: 'running',
  health: 'none',
  ready: false,
  attempt: 1,
  restarts: 0,
  pid: null,
  container_id: null,
  image: null,
  url: null,
  origin_url: null,
  ports: [],
  labels: { team: 'blue' },
  request_id: 'req-123',
  created_at: '2026-11-23T08:00:00.000Z',
  started_at: null,
  ready_at: null,
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

export const running: ServiceRecord = {
  ...requested,
  state: 'running',
  ready: true,
  pid: 12_345,
  url: 'http://127.0.0.1:8020/cocoons/worker-1/',
  origin_url: 'http://worker-1.localhost:8020/',
  ports: [{ port: PORT, host: '127.0.0.1', host_port: PORT, protocol: 'tcp' }],
  started_at: '2026-11-23T08:00:00.040Z',
  ready_at: '2026-11-23T08:00:00.190Z',
  observed_at: '2026-11-23T08:00:30.000Z',
  timings: { queued_ms: 1, pull_ms: null, create_ms: null, start_ms: 12, ready_ms: 150 },
  revision: 5,
}

export const stopping: ServiceRecord = { ...running, state: 'stopping', desired: 'stopped', ready: false, revision: 7 }

export const stopped: ServiceRecord = {
  ...stopping,
  state: 'stopped',
  pid: null,
  ended_at: '2026-11-23T09:00:00.000Z',
  exit: { code: 143, signal: 'SIGTERM', reason: 'stopped', oom: false },
  revision: 8,
}

export const failed: ServiceRecord = {
  ...stopped,
  state: 'failed',
  desired: 'running',
  exit: { code: 7, signal: null, reason: 'exited', oom: false },
  error: { code: 'HIVE_START_FAILED', detail: 'it ended with code 7 before it was ready' },
}

export const removed: ServiceRecord = {
  ...stopped,
  state: 'removed',
  desired: 'removed',
  url: null,
  origin_url: null,
  ports: [],
  revision: 10,
}

export const again: ServiceRecord = { ...stopping, desired: 'running', revision: 7 }

export const native = {
  id: 'native',
  runner_type: 'script',
  runner_config: { command: 'cocoon-worker', args: ['--kind', '{kind}'] },
  image: '',
  available: true,
  reason: null,
  isolated: false,
  containment: 'cgroup',
}

export const ubuntu = {
  id: 'ubuntu',
  runner_type: 'docker',
  runner_config: { image: 'registry.example/cocoon:ubuntu' },
  image: 'registry.example/cocoon:ubuntu',
  available: false,
  reason: 'no engine answers at unix:///var/run/docker.sock: is Docker running, and may this user use its socket?',
  isolated: true,
  containment: 'container',
}

export const script = { runner: 'script', available: true, reason: null, needed: true }
export const docker = { runner: 'docker', available: false, reason: ubuntu.reason, needed: true }

const check = {
  type: 'http',
  path: '/healthz',
  port: null,
  interval_ms: 10_000,
  timeout_ms: 5_000,
  retries: 3,
  start_period_ms: 0,
}

export const health = {
  health: 'passing',
  checks: [check],
  probes: [{ time: '2026-11-23T08:00:10.000Z', check: 0, type: 'http', ok: true, ms: 4, detail: 'answered 200' }],
}

export const activity = {
  idle_timeout_ms: 900_000,
  wake: true,
  last: { cause: 'request', time: '2026-11-23T08:15:00.000Z' },
  open_requests: false,
  log_followers: 0,
  lease_until: null,
  idle_at: '2026-11-23T08:30:00.000Z',
}

export const orphan = {
  runner: 'docker',
  id: '5d7e0f3a-90b1-4c55-8f0e-1c2d3e4f5a6b',
  name: 'worker-7',
  attempt: 1,
  running: true,
  created_at: '2026-11-22T17:30:00.000Z',
}

const db = {
  service: 'pg-1',
  id: '8e4c2b6a-13d5-4f70-9a8b-0c1d2e3f4a5b',
  kind: 'postgres',
  state: 'running',
}

export const exposed = {
  name: 'db',
  kinds: ['postgres'],
  secret: true,
  vars: ['DATABASE_URL'],
  providers: [{ ...db, healthy: true, address: { host: '127.0.0.1', port: 20_007 } }],
  consumers: [
    {
      service: 'api-1',
      id: '1f2e3d4c-5b6a-4978-8a9b-acbdcedfe0f1',
      kind: 'api',
      state: 'running',
      provider: 'pg-1',
      address: { host: '127.0.0.1', port: 20_007 },
    },
  ],
}
