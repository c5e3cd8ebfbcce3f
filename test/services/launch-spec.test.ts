import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { isHiveError } from '../../src/errors.ts'
import type { RunnerConfig } from '../../src/kinds/kind.ts'
import { isGated, launchSpec, portWishes } from '../../src/services/actions/launch-spec.ts'
import type { PlaceholderValues, SupervisorParts } from '../../src/services/context.ts'
import { newRow } from '../../src/services/spawn.ts'
import { createVault } from '../../src/services/table/vault.ts'
import { containerKind, FACTS, lease, NOW, rowIn, scriptKind, through, vault, wished } from '../support/service-row.ts'

const wish = (port: number | null, hostPort: number | null = null, name: string | null = null) => ({
  port,
  hostPort,
  name,
})

describe('portWishes', () => {
  it('a script gets one port, and one per further name', () => {
    assert.deepEqual(portWishes(scriptKind('a', { port: null }).config, [9]), [wish(null)])
    assert.deepEqual(portWishes(scriptKind('a', { port: 80, portNames: ['x', 'y'] }).config, []), [
      wish(null),
      wish(null, null, 'x'),
      wish(null, null, 'y'),
    ])
  })

  for (const [title, config, exposed, expected] of [
    ['nothing declared, nothing exposed: none', {}, [], []],
    ['nothing declared, one EXPOSE: that', {}, [8080], [wish(8080)]],
    ['nothing declared, two EXPOSE: none, for nobody knows which', {}, [80, 443], []],
    [
      'ports: each as declared',
      {
        ports: [
          { port: 80, hostPort: 9000 },
          { port: 81, hostPort: null },
        ],
      },
      [1],
      [wish(80, 9000), wish(81)],
    ],
    [
      'port: first of all',
      {
        port: 81,
        ports: [
          { port: 80, hostPort: null },
          { port: 81, hostPort: 9001 },
        ],
      },
      [],
      [wish(81, 9001), wish(80)],
    ],
    ['port alone: a free one', { port: 5000 }, [80], [wish(5000)]],
    [
      'port beside others: before them',
      { port: 5000, ports: [{ port: 80, hostPort: 9000 }] },
      [],
      [wish(5000), wish(80, 9000)],
    ],
  ] as const) {
    it(`a container: ${title}`, () =>
      assert.deepEqual(portWishes(containerKind('c', config).config, exposed), expected))
  }
})

describe('isGated', () => {
  const parts = (usesPort: boolean) => ({ usesPort: () => usesPort }) as unknown as SupervisorParts
  it('a declared port, ports or {port} is a promise to listen; EXPOSE is none', () => {
    assert.equal(isGated(parts(false), scriptKind('a', { port: null }).config), false)
    assert.equal(isGated(parts(false), scriptKind('a', { port: 80 }).config), true)
    assert.equal(isGated(parts(false), scriptKind('a', { port: null, portNames: ['x'] }).config), true)
    assert.equal(isGated(parts(true), scriptKind('a', { port: null }).config), true)
    assert.equal(isGated(parts(false), containerKind('c').config), false)
    assert.equal(isGated(parts(false), containerKind('c', { ports: [{ port: 80, hostPort: null }] }).config), true)
  })
})

describe('launchSpec', () => {
  const seen: PlaceholderValues[] = []
  const parts = {
    vault,
    signalingUrl: null,
    fillPlaceholders: (config: RunnerConfig, values: PlaceholderValues) => {
      seen.push(values)
      return { ...config, environment: { ...config.environment, FILLED: String(values.port) } }
    },
  } as unknown as SupervisorParts

  const kind = scriptKind('native', { environment: { FROM_KIND: 'planted-kind' } })
  const request = { kind: 'native', environment: { FROM_REQUEST: 'planted' }, setupToken: 'planted-token' }
  const born = newRow(vault, kind, request, {
    id: '00000000-0000-4000-8000-000000000001',
    name: 'web',
    requestId: 'r',
    now: NOW,
  })

  it('holds everything the driver needs, secrets opened and placeholders filled', () => {
    const spec = launchSpec(parts, born, [lease(20_000)])
    const { id, name, attempt, requestId, handle, recreate } = spec
    assert.deepEqual(
      { id, name, attempt, requestId, kind: spec.kind, handle, recreate, ports: spec.ports },
      {
        id: born.record.id,
        name: 'web',
        kind: 'native',
        attempt: 1,
        requestId: 'r',
        handle: null,
        recreate: false,
        ports: [lease(20_000)],
      },
    )
    assert.deepEqual(seen.at(-1), { kind: 'native', service_name: 'web', request_id: 'r', port: 20_000 })
    const { FROM_KIND, FROM_REQUEST, FILLED, COCOON_SETUP_TOKEN, COCOON_SECRET } = spec.env
    assert.deepEqual(
      [FROM_KIND, FROM_REQUEST, FILLED, COCOON_SETUP_TOKEN],
      ['planted-kind', 'planted', '20000', 'planted-token'],
    )
    assert.match(COCOON_SECRET ?? '', /^[\w-]{48}$/)
  })

  it('the same secret comes again with the next attempt, together with the old handle', () => {
    const running = through(born, FACTS.preparing, FACTS.starting, FACTS.launched, FACTS.ready, FACTS.exited)
    const next = through(wished(running, { desired: 'running', recreate: true }), FACTS.next_attempt)
    const spec = launchSpec(parts, next, next.leases)
    assert.equal(spec.env['COCOON_SECRET'], launchSpec(parts, born, []).env['COCOON_SECRET'])
    assert.deepEqual([spec.attempt, spec.recreate, spec.handle], [2, true, FACTS.launched.handle])
  })

  it('says HIVE_SECRETS_LOST when the key is gone', () => {
    const other = { ...parts, vault: createVault(Buffer.alloc(32, 1)) }
    assert.throws(
      () => launchSpec(other, born, []),
      (error) => isHiveError(error, 'HIVE_SECRETS_LOST'),
    )
  })

  it('a removed row has no secrets any more', () => {
    assert.throws(
      () => launchSpec(parts, rowIn('removed'), []),
      (error) => isHiveError(error, 'HIVE_SECRETS_LOST'),
    )
  })
})
