import assert from 'node:assert/strict'
import { test } from 'node:test'
import { inspect } from 'node:util'
import { complaintsAbout, configOf } from '../support/settings.ts'

const BASE = { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://collector:4318' }

test('readTracing: without an endpoint nothing is traced, whatever else is set', () => {
  for (const env of [
    {},
    { OTEL_SERVICE_NAME: 'bees', OTEL_TRACES_SAMPLER: 'nonsense', OTEL_EXPORTER_OTLP_HEADERS: '=' },
    { ...BASE, OTEL_SDK_DISABLED: 'TRUE', OTEL_TRACES_SAMPLER: 'nonsense' },
    { ...BASE, OTEL_TRACES_EXPORTER: 'none' },
  ])
    assert.equal(configOf(env).tracing, null)
})

test('readTracing: the defaults are those of the OpenTelemetry specification', () => {
  assert.deepEqual(configOf(BASE).tracing, {
    endpoint: 'http://collector:4318/v1/traces',
    headers: null,
    timeoutMs: 10_000,
    gzip: false,
    delayMs: 5_000,
    serviceName: 'hive',
    resource: {},
    sampler: { name: 'always_on', ratio: 1, byParent: true },
  })
})

test('readTracing: the path of the endpoint is kept, and one for traces is used as it is', () => {
  const endpointOf = (env: NodeJS.ProcessEnv) => configOf(env).tracing?.endpoint
  assert.equal(
    endpointOf({ OTEL_EXPORTER_OTLP_ENDPOINT: 'https://c.example/otlp/' }),
    'https://c.example/otlp/v1/traces',
  )
  assert.equal(endpointOf({ OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'http://c.example/in' }), 'http://c.example/in')
  assert.equal(
    endpointOf({ ...BASE, OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'http://c.example/in' }),
    'http://c.example/in',
  )
})

test('readTracing: every variable is read, the one for traces before the one for all signals', () => {
  const tracing = configOf({
    ...BASE,
    OTEL_EXPORTER_OTLP_HEADERS: 'x-ignored=1',
    OTEL_EXPORTER_OTLP_TRACES_HEADERS: 'authorization=Bearer%20planted, x-tenant = bees',
    OTEL_EXPORTER_OTLP_TIMEOUT: '1',
    OTEL_EXPORTER_OTLP_TRACES_TIMEOUT: '2500',
    OTEL_EXPORTER_OTLP_COMPRESSION: 'gzip',
    OTEL_EXPORTER_OTLP_PROTOCOL: 'http/protobuf',
    OTEL_BSP_SCHEDULE_DELAY: '100',
    OTEL_RESOURCE_ATTRIBUTES: 'service.name=ignored,deployment.environment.name=a%2Cb',
    OTEL_SERVICE_NAME: 'bees',
    OTEL_TRACES_SAMPLER: 'traceidratio',
    OTEL_TRACES_SAMPLER_ARG: '0.25',
  }).tracing
  assert.deepEqual(JSON.parse(tracing?.headers?.reveal() ?? ''), {
    authorization: 'Bearer planted',
    'x-tenant': 'bees',
  })
  assert.ok(!`${inspect(tracing)}${JSON.stringify(tracing)}`.includes('planted'))
  const { headers: _headers, ...rest } = tracing ?? {}
  assert.deepEqual(rest, {
    endpoint: 'http://collector:4318/v1/traces',
    timeoutMs: 2500,
    gzip: true,
    delayMs: 100,
    serviceName: 'bees',
    resource: { 'deployment.environment.name': 'a,b' },
    sampler: { name: 'traceidratio', ratio: 0.25, byParent: false },
  })
})

test('readTracing: service.name of the attributes is the name when there is no other', () => {
  assert.equal(configOf({ ...BASE, OTEL_RESOURCE_ATTRIBUTES: 'service.name=wasps' }).tracing?.serviceName, 'wasps')
})

test('readTracing: every problem is said at once, none with a value', () => {
  const problems = complaintsAbout({
    ...BASE,
    OTEL_EXPORTER_OTLP_HEADERS: 'fine=1,planted bad=2',
    OTEL_EXPORTER_OTLP_TIMEOUT: 'soon',
    OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc',
    OTEL_EXPORTER_OTLP_CERTIFICATE: '/planted.pem',
    OTEL_RESOURCE_ATTRIBUTES: 'planted',
    OTEL_TRACES_SAMPLER: 'parentbased_traceidratio',
    OTEL_TRACES_SAMPLER_ARG: '1.5',
    HIVE_PORT: 'x',
  })
  const named = problems.map((line) => line.split(' ', 1)[0])
  assert.deepEqual(named.sort(), [
    'HIVE_PORT',
    'OTEL_EXPORTER_OTLP_CERTIFICATE',
    'OTEL_EXPORTER_OTLP_HEADERS',
    'OTEL_EXPORTER_OTLP_PROTOCOL',
    'OTEL_EXPORTER_OTLP_TIMEOUT',
    'OTEL_RESOURCE_ATTRIBUTES',
    'OTEL_TRACES_SAMPLER_ARG',
  ])
  assert.ok(!problems.join('\n').includes('planted'), problems.join('\n'))
  assert.match(problems.find((line) => line.includes('HEADERS')) ?? '', /place 2/)
})

test('readTracing: an endpoint with a password, a header that would break the request, and an unknown exporter are refused', () => {
  for (const [name, value] of [
    ['OTEL_EXPORTER_OTLP_ENDPOINT', 'http://user:planted@collector'],
    ['OTEL_EXPORTER_OTLP_ENDPOINT', 'collector:4318'],
    ['OTEL_EXPORTER_OTLP_HEADERS', 'x=a%0d%0aplanted: b'],
    ['OTEL_EXPORTER_OTLP_HEADERS', 'x=%zz'],
    ['OTEL_TRACES_EXPORTER', 'zipkin'],
    ['OTEL_TRACES_SAMPLER', 'jaeger_remote'],
  ] as const) {
    const problems = complaintsAbout({ ...BASE, [name]: value })
    assert.equal(problems.length, 1, `${name}=${value}`)
    assert.ok(problems[0]?.startsWith(name) && !problems[0].includes('planted'), problems[0])
  }
})
