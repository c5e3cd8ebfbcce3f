import { type FieldProblem, HiveError } from '../errors.ts'
import type { KindSpec, RunnerConfig, UseSpec } from '../kinds/kind.ts'
import { fqnOf, isServiceName, NAME_RULE } from './names.ts'
import type { ServiceRecord, ServiceRow, SharedProofs } from './state/record.ts'
import { NO_RESTARTS } from './state/restart.ts'
import { newCocoonSecret, type Vault } from './table/vault.ts'

/** What a client asks for, shapes already checked by the route. */
export interface SpawnRequest {
  readonly kind: string
  readonly name?: string | undefined
  readonly requestId?: string | undefined
  readonly setupToken?: string | undefined
  readonly environment?: Readonly<Record<string, string>> | undefined
  readonly labels?: Readonly<Record<string, string>> | undefined
}

/** The rules of kinds that a request must keep, given by whoever knows kinds. */
export interface KindRules {
  readonly acceptsEnvironment: (config: RunnerConfig, name: string) => boolean
  /** A sentence that says what is wrong with a request id for this config, or null. */
  readonly checkRequestId: (config: RunnerConfig, requestId: string) => string | null
}

/**
 * Checks what only the kind can tell.
 * @throws HIVE_REQUEST_INVALID  with one entry per wrong field.
 */
export function checkSpawn(request: SpawnRequest, kind: KindSpec, rules: KindRules): void {
  const fields: FieldProblem[] = []
  if (request.name !== undefined && !isServiceName(request.name)) fields.push({ pointer: '/name', detail: NAME_RULE })
  for (const name of Object.keys(request.environment ?? {})) {
    if (!rules.acceptsEnvironment(kind.config, name))
      fields.push({
        pointer: '/environment',
        detail: `kind ${kind.id} does not accept ${safeName(name)}: see its accept_environment`,
      })
  }
  const wrong = request.requestId === undefined ? null : rules.checkRequestId(kind.config, request.requestId)
  if (wrong !== null) fields.push({ pointer: '/request_id', detail: wrong })
  if (fields.length > 0)
    throw new HiveError('HIVE_REQUEST_INVALID', 'the request does not fit its kind: see errors', { fields })
}

/** The HMAC by which the same request is known again; the body itself, secrets included, is not kept. */
export function requestHmac(vault: Vault, request: SpawnRequest): string {
  const { kind, name = null, setupToken = null, environment = {}, labels = {} } = request
  return vault.hmac(JSON.stringify([kind, name, setupToken, sorted(environment), sorted(labels)]))
}

export interface Birth {
  readonly id: string
  readonly name: string
  readonly requestId: string
  readonly now: string
}

/** The first row of a service: attempt 1 is owed and nothing is done yet. */
export function newRow(vault: Vault, kind: KindSpec, request: SpawnRequest, birth: Birth): ServiceRow {
  const { id, now } = birth
  const sealed = vault.seal(id, {
    kindEnvironment: kind.config.environment,
    requestEnvironment: request.environment ?? {},
    ...(kind.config.expose && { exposedVars: kind.config.expose.vars }),
    setupToken: request.setupToken ?? null,
    cocoonSecret: newCocoonSecret().reveal(),
  })
  return {
    record: newRecord(kind, request, birth),
    targetAttempt: 1,
    intent: { by: 'api', reason: null, volumes: false, recreate: false },
    attemptAt: now,
    removedAt: null,
    mayExist: false,
    handle: null,
    launchedAttempt: 0,
    endpoint: null,
    leases: [],
    portMoves: 0,
    config: withoutSecrets(kind.config),
    ...proofsOf(vault, kind.config),
    gated: false,
    requestHmac: requestHmac(vault, request),
    configHmac: vault.hmac(JSON.stringify(kind.config)),
    restart: NO_RESTARTS,
    boot: null,
    leaseUntil: null,
    sealed,
  }
}

function newRecord(kind: KindSpec, request: SpawnRequest, birth: Birth): ServiceRecord {
  return {
    id: birth.id,
    fqn: fqnOf(birth.name),
    name: birth.name,
    kind: kind.id,
    runner: kind.runner_type,
    state: 'requested',
    desired: 'running',
    health: 'none',
    ready: false,
    attempt: 1,
    restarts: 0,
    pid: null,
    container_id: null,
    image: kind.image === '' ? null : kind.image,
    url: null,
    origin_url: null,
    ports: [],
    labels: request.labels ?? {},
    request_id: birth.requestId,
    created_at: birth.now,
    started_at: null,
    ready_at: null,
    ended_at: null,
    expires_at: expiryOf(kind, birth.now),
    idle_at: null,
    observed_at: null,
    exit: null,
    error: null,
    next_attempt_at: null,
    progress: null,
    timings: { queued_ms: null, pull_ms: null, create_ms: null, start_ms: null, ready_ms: null },
    ...(kind.config.uses.length > 0 && { uses: kind.config.uses.map(({ name }) => ({ name, ...FROM_NOWHERE })) }),
    revision: 1,
  }
}

const FROM_NOWHERE = { service: null, service_id: null, host: null, port: null }

/** What of a kind's config may be stored as it is. */
export function withoutSecrets<Config extends RunnerConfig>(config: Config): Config {
  const { expose, uses } = config
  return {
    ...config,
    environment: {},
    expose: expose && { name: expose.name, secret: null, vars: {} },
    uses: uses.map((use) => ({ ...use, secret: null })),
  }
}

/** The exposed name goes in with the secret, so that equal secrets of two names cannot be told. */
function proofsOf(vault: Vault, { expose, uses }: RunnerConfig): { readonly proofs?: SharedProofs } {
  if (expose === null && uses.length === 0) return {}
  const prove = ({ name, secret }: Pick<UseSpec, 'name' | 'secret'>) =>
    secret && vault.hmac(JSON.stringify(['expose', name, secret.reveal()]))
  return {
    proofs: { expose: expose && prove(expose), uses: Object.fromEntries(uses.map((use) => [use.name, prove(use)])) },
  }
}

function expiryOf({ config: { ttlMs } }: KindSpec, now: string): string | null {
  return ttlMs === null ? null : new Date(Date.parse(now) + ttlMs).toISOString()
}

function sorted(record: Readonly<Record<string, string>>): readonly (readonly [string, string])[] {
  return Object.entries(record).sort(([left], [right]) => (left < right ? -1 : 1))
}

/** Names come from outside: only what can be a name is repeated in an answer. */
function safeName(name: string): string {
  return /^[A-Za-z_][A-Za-z0-9_]{0,127}$/.test(name) ? name : 'a name that is no variable name'
}
