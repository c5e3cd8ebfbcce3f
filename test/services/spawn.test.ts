import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { type FieldProblem, HiveError } from '../../src/errors.ts'
import { checkSpawn, type KindRules, newRow, requestHmac, type SpawnRequest } from '../../src/services/spawn.ts'
import { NOW, scriptKind, vault } from '../support/service-row.ts'

const kind = scriptKind('native', { environment: { API_KEY: 'planted-kind' } })
const rules: KindRules = {
  acceptsEnvironment: (_config, name) => name.startsWith('OK_'),
  checkRequestId: (_config, requestId) => (requestId.includes('/') ? 'must not hold /' : null),
}

function problemsOf(request: Partial<SpawnRequest>): readonly FieldProblem[] {
  try {
    checkSpawn({ kind: 'native', ...request }, kind, rules)
    return []
  } catch (error) {
    assert.ok(error instanceof HiveError && error.code === 'HIVE_REQUEST_INVALID')
    return error.fields
  }
}

describe('checkSpawn', () => {
  it('accepts what fits the kind', () => {
    assert.deepEqual(problemsOf({}), [])
    assert.deepEqual(problemsOf({ name: 'web', requestId: 'a b', environment: { OK_A: '' } }), [])
  })

  it('names every wrong field at once', () => {
    const fields = problemsOf({ name: 'Web', requestId: '../x', environment: { OK_A: '', LD_PRELOAD: 'x', PATH: 'y' } })
    assert.deepEqual(
      fields.map(({ pointer }) => pointer),
      ['/name', '/environment', '/environment', '/request_id'],
    )
  })

  it('A19: a refused variable is named, but nothing that is no name and no value is repeated', () => {
    const environment = {
      LD_PRELOAD: 'planted',
      'A=B': 'planted',
      '\u001b]0;x': 'planted',
      ['x'.repeat(500)]: 'planted',
    }
    const text = JSON.stringify(problemsOf({ environment }))
    assert.match(text, /LD_PRELOAD/)
    assert.equal(/planted|A=B|u001b|xxxxx/.test(text), false)
  })
})

describe('requestHmac', () => {
  const base: SpawnRequest = {
    kind: 'native',
    name: 'web',
    requestId: 'r',
    environment: { A: '1', B: '2' },
    labels: { x: 'y' },
  }
  const hmac = (request: SpawnRequest) => requestHmac(vault, request)

  it('is the same whatever the order of keys, and whether empty things are left out', () => {
    assert.equal(hmac({ ...base, environment: { B: '2', A: '1' } }), hmac(base))
    assert.equal(hmac({ kind: 'k' }), hmac({ kind: 'k', environment: {}, labels: {}, name: undefined }))
    assert.equal(hmac({ ...base, requestId: 'other' }), hmac(base), 'the id itself is not part of the body')
  })

  it('differs for every other body', () => {
    const others: Partial<SpawnRequest>[] = [
      { kind: 'native2' },
      { name: 'web2' },
      { name: undefined },
      { setupToken: '' },
      { setupToken: 't' },
      { environment: { A: '1' } },
      { environment: { A: '2', B: '1' } },
      { environment: { A: '1', B: '2', x: 'y' }, labels: {} },
      { labels: { x: 'z' } },
      { labels: { 'x","y': '' } },
    ]
    const all = [base, ...others.map((other) => ({ ...base, ...other }))].map(hmac)
    assert.equal(new Set(all).size, all.length)
  })
})

describe('newRow', () => {
  const request = {
    kind: 'native',
    environment: { OK_A: 'planted-request' },
    setupToken: 'planted-token',
    labels: { team: 'a' },
  }
  const row = newRow(vault, kind, request, {
    id: '00000000-0000-4000-8000-000000000001',
    name: 'web',
    requestId: 'r',
    now: NOW,
  })

  it('owes attempt 1 and has done nothing yet', () => {
    const { state, desired, attempt, restarts, revision, fqn, ready } = row.record
    assert.deepEqual(
      [state, desired, attempt, restarts, revision, fqn, ready],
      ['requested', 'running', 1, 0, 1, 'cocoons:web', false],
    )
    assert.deepEqual(
      [row.targetAttempt, row.mayExist, row.handle, row.leases.length, row.portMoves],
      [1, false, null, 0, 0],
    )
  })

  it('A21: holds secrets only sealed', () => {
    const { sealed, ...rest } = row
    assert.equal(/planted/.test(JSON.stringify(rest)), false)
    assert.equal(/planted/.test(Buffer.from(sealed ?? []).toString('latin1')), false)
    const secrets = vault.open(row.record.id, sealed ?? assert.fail())
    assert.deepEqual(
      [secrets.kindEnvironment, secrets.requestEnvironment, secrets.setupToken],
      [{ API_KEY: 'planted-kind' }, { OK_A: 'planted-request' }, 'planted-token'],
    )
  })
})
