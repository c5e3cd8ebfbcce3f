import { HiveError, type HiveErrorCode } from '../errors.ts'
import { problemDocument } from '../problem.ts'
import {
  activity,
  again,
  docker,
  exposed,
  failed,
  health,
  native,
  orphan,
  removed,
  requested,
  running,
  sample,
  script,
  stopped,
  stopping,
  ubuntu,
} from './example-records.ts'

/** What the OpenAPI document shows for each operation; a test holds every example against its own schema. */
export interface OperationExamples {
  readonly request?: unknown
  readonly responses: Readonly<Record<number, unknown>>
}

const REQUEST_ID = '7b0f4c1e-6f0d-4f6e-9f3b-2d4c5a6b7c8d'

const registered = { state: 'registered', generation: 2, since: '2026-01-01T00:00:00.000Z', pending: 0, unsent: 0 }

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
  listExposed: { responses: { 200: { exposed: [exposed] } } },
  getHealth: { responses: { 200: health } },
  getActivity: { responses: { 200: activity } },
  touchService: {
    request: { seconds: 600 },
    responses: { 200: { ...running, idle_at: '2026-11-23T08:30:00.000Z', revision: 6 } },
  },
  listOrphans: { responses: { 200: { orphans: [orphan], unasked: [] } } },
  reapOrphans: { responses: { 200: { reaped: [orphan], kept: [], unasked: [] } } },
  metrics: { responses: { 200: '# TYPE hive_services gauge\nhive_services{state="running"} 1\n' } },
  getLogs: {
    responses: { 200: '{"seq":1,"time":"2026-11-23T08:00:00.000Z","stream":"stdout","line":"listening"}\n' },
  },
  getEvents: {
    responses: { 200: 'id: 7\nevent: state\ndata: {"seq":7,"at":"2026-11-23T08:00:00.000Z","type":"state"}\n\n' },
  },
  getPostMortem: {
    responses: {
      200: { service: removed, exit: removed.exit, error: null, log: [], probes: [], stats: sample, timeline: [] },
    },
  },
  getStats: { responses: { 200: { current: sample, history: [sample], interval_ms: 10_000 } } },
  live: { responses: { 200: { status: 'alive' } } },
  ready: {
    responses: {
      200: { status: 'ready', table: true, signaling: registered, runners: [script] },
      503: { status: 'not_ready', table: true, signaling: registered, runners: [docker, script] },
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
  429: problem('HIVE_TOO_MANY_WRONG_TOKENS', 'Send the right token, which is taken at any time, or wait.'),
  500: problem('HIVE_INTERNAL', 'the log of Hive says more under this request id'),
  503: problem('HIVE_RUNNER_UNAVAILABLE', ubuntu.reason),
  507: problem('HIVE_STORE_FULL', 'free some space on the disk of the state directory'),
}

function problem(code: HiveErrorCode, detail: string, extra: Readonly<Record<string, unknown>> = {}): unknown {
  return problemDocument(new HiveError(code, detail, { extra }), REQUEST_ID)
}
