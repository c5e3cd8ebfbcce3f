import { HiveError, type HiveErrorCode } from '../errors.ts'
import { problemDocument } from '../problem.ts'
import type { ServiceRecord } from '../services/record.ts'

/** What the OpenAPI document shows for each operation; a test holds every example against its own schema. */
export interface OperationExamples {
  readonly request?: unknown
  readonly responses: Readonly<Record<number, unknown>>
}

const REQUEST_ID = '7b0f4c1e-6f0d-4f6e-9f3b-2d4c5a6b7c8d'
const PORT = 20_481

const requested: ServiceRecord = {
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

const running: ServiceRecord = {
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

const stopping: ServiceRecord = { ...running, state: 'stopping', desired: 'stopped', ready: false, revision: 7 }

const stopped: ServiceRecord = {
  ...stopping,
  state: 'stopped',
  pid: null,
  ended_at: '2026-11-23T09:00:00.000Z',
  exit: { code: 143, signal: 'SIGTERM', reason: 'stopped', oom: false },
  revision: 8,
}

const failed: ServiceRecord = {
  ...stopped,
  state: 'failed',
  desired: 'running',
  exit: { code: 7, signal: null, reason: 'exited', oom: false },
  error: { code: 'HIVE_START_FAILED', detail: 'it ended with code 7 before it was ready' },
}

const removed: ServiceRecord = {
  ...stopped,
  state: 'removed',
  desired: 'removed',
  url: null,
  origin_url: null,
  ports: [],
  revision: 10,
}

const again: ServiceRecord = { ...stopping, desired: 'running', revision: 7 }

const native = {
  id: 'native',
  runner_type: 'script',
  runner_config: { command: 'cocoon-worker', args: ['--kind', '{kind}'] },
  image: '',
  available: true,
  reason: null,
  isolated: false,
  containment: 'cgroup',
}

const ubuntu = {
  id: 'ubuntu',
  runner_type: 'docker',
  runner_config: { image: 'registry.example/cocoon:ubuntu' },
  image: 'registry.example/cocoon:ubuntu',
  available: false,
  reason: 'no engine answers at unix:///var/run/docker.sock: is Docker running, and may this user use its socket?',
  isolated: true,
  containment: 'container',
}

const script = { runner: 'script', available: true, reason: null, needed: true }
const docker = { runner: 'docker', available: false, reason: ubuntu.reason, needed: true }

/** By operation id. */
export const OPERATION_EXAMPLES: Readonly<Record<string, OperationExamples>> = {
  spawn: {
    request: { kind: 'native', name: 'worker-1', request_id: 'req-123', labels: { team: 'blue' } },
    responses: { 200: running, 201: running, 202: requested },
  },
  listServices: { responses: { 200: { services: [running], next_cursor: null } } },
  getService: { responses: { 200: running } },
  deleteService: { responses: { 200: removed, 202: { ...stopping, desired: 'removed' } } },
  stopService: { responses: { 200: stopped, 202: stopping } },
  startService: { responses: { 200: running, 202: { ...stopped, desired: 'running' } } },
  restartService: { responses: { 200: running, 202: again } },
  listKinds: { responses: { 200: { kinds: [native, ubuntu] } } },
  getKind: { responses: { 200: native, 404: problem('HIVE_NOT_FOUND', 'GET /kinds lists the kinds there are') } },
  live: { responses: { 200: { status: 'alive' } } },
  ready: {
    responses: {
      200: { status: 'ready', table: true, runners: [script] },
      503: { status: 'not_ready', table: true, runners: [docker, script] },
    },
  },
}

/** One problem per status, for operations that show none of their own. */
export const PROBLEM_EXAMPLES: Readonly<Record<number, unknown>> = {
  400: problem('HIVE_REQUEST_INVALID', 'the body does not fit its schema: see errors', {
    errors: [{ pointer: '/kind', detail: 'must be string' }],
  }),
  401: problem(
    'HIVE_UNAUTHORIZED',
    'send Authorization: Bearer <token>; the start line of Hive says where the token is',
  ),
  404: problem('HIVE_SERVICE_UNKNOWN', 'GET /services lists the services there are'),
  409: problem('HIVE_NAME_TAKEN', 'worker-1 is in use until its cocoon is removed', { service: running }),
  410: problem('HIVE_COCOON_GONE', 'this is its final record, kept for 24 hours', { service: removed }),
  412: problem('HIVE_REVISION_STALE', 'the current ETag is "5"'),
  413: problem('HIVE_BODY_TOO_LARGE', 'bodies of the control API are limited to 256 KB'),
  415: problem('HIVE_MEDIA_TYPE', 'send application/json'),
  421: problem('HIVE_HOST_REFUSED', 'This host name is not served here; HIVE_ALLOWED_HOSTS adds names.'),
  422: problem('HIVE_KIND_UNKNOWN', 'GET /kinds lists the kinds there are'),
  424: problem('HIVE_START_FAILED', 'it ended with code 7 before it was ready', { service: failed }),
  429: problem('HIVE_CAPACITY', 'HIVE_MAX_COCOONS (500) is reached: remove one first'),
  500: problem('HIVE_INTERNAL', 'the log of Hive says more under this request id'),
  503: problem('HIVE_RUNNER_UNAVAILABLE', ubuntu.reason),
  507: problem('HIVE_STORE_FULL', 'free some space on the disk of the state directory'),
}

function problem(code: HiveErrorCode, detail: string, extra: Readonly<Record<string, unknown>> = {}): unknown {
  return problemDocument(new HiveError(code, detail, { extra }), REQUEST_ID)
}
