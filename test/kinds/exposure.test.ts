import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { isInjected } from '../../src/kinds/environment.ts'
import { usesPrefix } from '../../src/kinds/exposure.ts'
import { parseKinds } from '../../src/kinds/parse.ts'
import { redactKind } from '../../src/kinds/redact.ts'
import { boxConfig, complaintsOf, kindsOf, nativeConfig, problemsOf, strict } from '../support/kind-texts.ts'

const PLANTED = 'planted-secret-value'

/** A kind of any runner with these fields. */
function kind(id: string, fields: object, runner = 'script'): object {
  const base = runner === 'script' ? { command: 'worker' } : { image: 'busybox', port: 8080 }
  return { id, runner_type: runner, runner_config: { ...base, ...fields } }
}

const text = (...kinds: readonly object[]) => JSON.stringify(kinds)

describe('expose and uses', () => {
  test('are read for every runner', () => {
    const fields = { expose: { name: 'db', secret: PLANTED, vars: { URL: 'x://{host}:{port}/{service_name}' } } }
    for (const config of [nativeConfig(fields), boxConfig(fields), boxConfig(fields, strict, 'podman')]) {
      assert.deepEqual([config.expose?.name, config.expose?.vars, config.uses], ['db', fields.expose.vars, []])
      assert.equal(config.expose?.secret?.reveal(), PLANTED)
    }
    for (const runner of ['script', 'docker', 'podman']) {
      const [, consumer] = kindsOf(
        text(kind('pg', { expose: { name: 'db' } }), kind('app', { uses: [{ name: 'db', as: 'Main' }] }, runner)),
      )
      assert.deepEqual(consumer?.config.uses, [{ name: 'db', secret: null, as: 'Main' }])
    }
  })

  test('all that is wrong with them is said at once, with the field, and never a value', () => {
    const wrong = {
      expose: {
        name: 'DB',
        secret: '',
        vars: { '1X': PLANTED, A: `{${PLANTED.replaceAll('-', '_')}}`, B: 5 },
        more: 1,
      },
      uses: [{}, 'db', { name: 'a b' }, { name: 'x', secret: 7, as: 'a-b' }],
    }
    const fields = problemsOf(text(kind('k', wrong))).map(({ field }) => field)
    assert.deepEqual(fields, [
      ...['expose.name', 'expose.secret', 'expose.vars', 'expose.vars.A', 'expose.vars.B', 'expose'],
      ...['uses[0]', 'uses[1]', 'uses[2].name', 'uses[3].secret', 'uses[3].as'],
    ])
    const said = complaintsOf(text(kind('k', wrong)))
    assert.ok(!said.includes('planted'), said)
  })

  test('one name twice in a list, or two that would set the same variable, are problems', () => {
    const uses = (...list: readonly object[]) => problemsOf(text(kind('k', { uses: list })))[0]
    assert.equal(uses({ name: 'a' }, { name: 'a', as: 'b' })?.wrong, 'has a twice')
    assert.equal(uses({ name: 'a-b' }, { name: 'c', as: 'A_b' })?.wrong, 'has two that become HIVE_USES_A_B_URL')
  })

  test('what Hive sets itself is no name to share, which is a warning', () => {
    const { warnings, problems } = parseKinds(
      text(kind('k', { expose: { name: 'k', vars: { PORT: PLANTED } } })),
      strict,
    )
    assert.deepEqual([problems.length, warnings.length], [0, 1])
    assert.ok(warnings[0]?.includes('expose.vars.PORT') && !warnings[0].includes(PLANTED))
  })

  test('property: every variable about a used name is Hive’s own, and different names have different ones', () => {
    const name = fc.stringMatching(/^[a-z0-9][a-z0-9-]{0,8}$/)
    fc.assert(
      fc.property(name, name, (left, right) => {
        const [one, other] = [left, right].map((each) => usesPrefix({ name: each, as: null }))
        assert.ok(isInjected(`${one}URL`))
        assert.match(`${one}URL`, /^HIVE_USES_[A-Z0-9_]+_URL$/)
        assert.equal(one === other, left === right)
      }),
    )
  })
})

describe('kinds together', () => {
  const one = (...kinds: readonly object[]) => {
    const [problem, ...more] = problemsOf(text(...kinds))
    assert.deepEqual(more, [])
    return [problem?.entry, problem?.id, problem?.field, problem?.wrong]
  }

  test('a used name that no kind exposes is a problem, which names those there are', () => {
    const [problem] = problemsOf(text(kind('pg', { expose: { name: 'db' } }), kind('app', { uses: [{ name: 'bd' }] })))
    assert.deepEqual([problem?.entry, problem?.field, problem?.right], [2, 'uses[0].name', 'one of db'])
  })

  test('it is not one while an entry that may expose it cannot be read', () => {
    const fields = problemsOf(
      text(kind('pg', { expose: { name: 'db' }, ports: [7] }), kind('app', { uses: [{ name: 'db' }] })),
    ).map(({ field }) => field)
    assert.deepEqual(fields, ['ports[0]'])
  })

  test('a name is exposed by one kind', () => {
    assert.deepEqual(one(kind('a', { expose: { name: 'db' } }), kind('b', { expose: { name: 'db' } })), [
      ...[2, 'b', 'expose.name', 'entry 1 (a) exposes db already'],
    ])
  })

  test('a secret that is wrong, missing or not asked for is a problem that repeats neither', () => {
    const pair = (asked: object, given: object) =>
      one(kind('pg', { expose: { name: 'db', ...asked } }), kind('app', { uses: [{ name: 'db', ...given }] }))
    const field = [2, 'app', 'uses[0].secret']
    assert.deepEqual(pair({ secret: PLANTED }, { secret: 'x' }), [...field, 'is not the one of entry 1 (pg)'])
    assert.deepEqual(pair({ secret: PLANTED }, {}), [...field, 'is missing: entry 1 (pg) asks for one'])
    assert.deepEqual(pair({}, { secret: PLANTED }), [...field, 'entry 1 (pg) asks for none'])
    kindsOf(
      text(
        kind('pg', { expose: { name: 'db', secret: PLANTED } }),
        kind('app', { uses: [{ name: 'db', secret: PLANTED }] }),
      ),
    )
  })

  test('two used kinds that bring the same variable are a problem', () => {
    const sharing = (id: string) => kind(id, { expose: { name: id, vars: { URL: PLANTED } } })
    assert.deepEqual(one(sharing('a'), sharing('b'), kind('app', { uses: [{ name: 'a' }, { name: 'b' }] })), [
      ...[3, 'app', 'uses[1]', 'b brings URL, and so does a'],
    ])
  })

  test('a ring is a problem that names it, of one kind, of two and of three', () => {
    const link = (id: string, to: string) => kind(id, { expose: { name: id }, uses: [{ name: to }] })
    const ring = 'goes round in a ring:'
    assert.deepEqual(one(link('a', 'a')), [1, 'a', 'uses', `${ring} a uses a`])
    assert.deepEqual(one(link('a', 'b'), link('b', 'a')), [1, 'a', 'uses', `${ring} a uses b uses a`])
    assert.deepEqual(one(kind('x', { uses: [{ name: 'b' }] }), link('a', 'b'), link('b', 'c'), link('c', 'a')), [
      ...[3, 'b', 'uses', `${ring} b uses c uses a uses b`],
    ])
  })

  test('property: there is a ring problem if and only if some kind reaches itself', () => {
    const size = 6
    const edges = fc.array(fc.tuple(fc.nat(size - 1), fc.nat(size - 1)), { maxLength: 10 })
    fc.assert(
      fc.property(edges, (pairs) => {
        const used = Array.from({ length: size }, (_, from) => [
          ...new Set(pairs.filter(([one]) => one === from).map(([, to]) => to)),
        ])
        const kinds = used.map((to, id) =>
          kind(`k${id}`, { expose: { name: `n${id}` }, uses: to.map((each) => ({ name: `n${each}` })) }),
        )
        const { problems } = parseKinds(text(...kinds), strict)
        assert.equal(
          problems.length > 0,
          used.some((_, id) => reaches(used, id)),
        )
        assert.ok(problems.every(({ wrong }) => wrong.startsWith('goes round')))
      }),
    )
  })

  test('a chain of thousands of kinds is read', () => {
    const chain = Array.from({ length: 5_000 }, (_, id) =>
      kind(`k${id}`, { expose: { name: `n${id}` }, ...(id > 0 && { uses: [{ name: `n${id - 1}` }] }) }),
    )
    assert.equal(kindsOf(text(...chain)).length, 5_000)
  })
})

test('redactKind: secrets and shared values are hidden, whatever their shape; names stay', () => {
  const [pg, app] = kindsOf(
    text(
      kind('pg', { expose: { name: 'db', secret: PLANTED, vars: { URL: PLANTED } } }),
      kind('app', { uses: [{ name: 'db', secret: PLANTED, as: 'X' }] }),
    ),
  )
  assert.deepEqual(redactKind(pg!).runner_config['expose'], {
    name: 'db',
    secret: '[redacted]',
    vars: { URL: '[redacted]' },
  })
  assert.deepEqual(redactKind(app!).runner_config['uses'], [{ name: 'db', secret: '[redacted]', as: 'X' }])
})

function reaches(used: readonly (readonly number[])[], start: number): boolean {
  const seen = new Set<number>()
  const left = [...(used[start] ?? [])]
  for (let next = left.pop(); next !== undefined; next = left.pop()) {
    if (next === start) return true
    if (!seen.has(next)) left.push(...(used[next] ?? []))
    seen.add(next)
  }
  return false
}
