import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { RUNNER_TYPES } from '../../src/kinds/kind.ts'
import { printKinds } from '../../src/kinds/print.ts'
import { kindsOf } from '../support/kind-texts.ts'

const optional = (fields: Readonly<Record<string, fc.Arbitrary<unknown>>>) => fc.record(fields, { requiredKeys: [] })
const anyText = fc
  .oneof(
    fc.string({ unit: 'binary' }),
    fc.string({ unit: fc.constantFrom('{', '}', ',', '"', '\\', ':', '[', ']', 'a', '\n') }),
  )
  .map((text) => text.replaceAll('\0', '').replaceAll('{', '{{'))
const name = fc.stringMatching(/^[A-Za-z_][A-Za-z0-9_]{0,10}$/)
const slug = fc.stringMatching(/^[a-z0-9]{1,8}$/)
const template = fc.oneof(anyText, fc.constantFrom('{kind}', '{service_name}-{request_id}', '{{kind}}', '{'))

const common = {
  environment: fc.dictionary(name, template, { maxKeys: 4, noNullPrototype: true }),
  port: fc.integer({ min: 1, max: 65_535 }),
  user: fc.constantFrom('1000', '1000:1000', 'node'),
  ready_timeout: fc.oneof(fc.constantFrom('10s', '500ms', '5m', '1h'), fc.integer({ min: 1, max: 1000 })),
  strip_prefix: fc.boolean(),
  allow_origins: fc.constant(['https://a.example']),
}
const image = fc
  .tuple(
    fc.constantFrom('', 'localhost:5000/', 'reg.example/ns/'),
    slug,
    fc.constantFrom('', ':1.2', `@sha256:${'a'.repeat(64)}`),
  )
  .map((parts) => parts.join(''))
const box = fc.record({ image }).chain((must) =>
  optional({
    ...common,
    args: fc.array(template, { maxLength: 4 }),
    volumes: fc.uniqueArray(slug, { maxLength: 3 }).map((slugs) => slugs.map((each) => `${each}-{kind}:/${each}`)),
    pull: fc.constantFrom('missing', 'always', 'never'),
    container_name: fc.constantFrom('auto-generated', 'x-{service_name}'),
    resources: optional({ memory: fc.constantFrom('512m', '1g'), cpus: fc.constant(1.5), pids: fc.constant(9) }),
  }).map((may) => ({ ...must, ...may })),
)
const command = fc.oneof(
  slug,
  fc.constantFrom('docker', 'script', '/opt/a,b', '/opt/{x}/y', '/opt/a:b', '/opt/"q"', '{', '[', '/opt/ä', '}x'),
)
const native = fc.record({ command }).chain((must) =>
  optional({
    ...common,
    args: fc.array(template, { maxLength: 4 }),
    working_dir: fc.constant('/srv/{service_name}'),
    ports: fc.constant(['metrics']),
  }).map((may) => ({ ...may, ...must })),
)
const id = fc.oneof(fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9_.-]{0,20}$/), fc.constantFrom(...RUNNER_TYPES))
const kind = fc.oneof(
  fc.record({
    id,
    runner_type: fc.constantFrom('docker', 'podman'),
    runner_config: fc.oneof(box, fc.record({ image })),
  }),
  fc.record({ id, runner_type: fc.constant('script'), runner_config: fc.oneof(native, fc.record({ command })) }),
  fc.record({ id, image }),
)
const kinds = fc.uniqueArray(kind, { selector: (each) => each.id.toLowerCase(), maxLength: 6 })

test('K3 print ∘ parse is the identity: what is printed parses to the same kinds', () => {
  fc.assert(
    fc.property(kinds, (written) => {
      const parsed = kindsOf(JSON.stringify(written))
      const printed = printKinds(parsed)
      assert.deepEqual(kindsOf(printed), parsed)
      assert.equal(printKinds(kindsOf(printed)), printed)
    }),
    { numRuns: 1_000 },
  )
})

test('printKinds: short where it can be, JSON where it must be', () => {
  const text =
    'native:script:worker,\nbox:podman:reg.example:5000/a/b:1,\nx:script:{"command":"/opt/a,b","args":["{kind}"]}'
  assert.equal(printKinds(kindsOf(text)), text)
})

test('printKinds: no kinds are an empty array, which is not the same as unset', () => {
  assert.equal(printKinds([]), '[]')
  assert.deepEqual(kindsOf(printKinds([])), [])
})
