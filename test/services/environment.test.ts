import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { cocoonEnvironment, type EnvironmentInput } from '../../src/services/actions/environment.ts'
import { lease } from '../support/service-row.ts'

const input: EnvironmentInput = {
  name: 'web',
  kind: 'native',
  requestId: 'req-1',
  kindEnvironment: { FROM_KIND: 'kind', BOTH: 'kind' },
  secrets: {
    kindEnvironment: { FROM_KIND: 'not expanded' },
    requestEnvironment: { FROM_REQUEST: '{kind} stays', BOTH: 'request' },
    setupToken: 'token',
    cocoonSecret: 'secret',
  },
  leases: [lease(20_000)],
  script: true,
  signalingUrl: 'wss://signal.example/ws',
  uses: { vars: {}, own: {} },
}

describe('the environment of a cocoon', () => {
  it('holds the kind’s own, the request’s and Hive’s variables, and nothing else', () => {
    assert.deepEqual(cocoonEnvironment(input), {
      FROM_KIND: 'kind',
      FROM_REQUEST: '{kind} stays',
      BOTH: 'request',
      COCOON_SECRET: 'secret',
      COCOON_SETUP_TOKEN: 'token',
      COCOON_KIND: 'native',
      COCOON_NAME: 'web',
      COCOON_REQUEST_ID: 'req-1',
      HIVE_URL_PREFIX: '/cocoons/web',
      SIGNALING_SERVER_URL: 'wss://signal.example/ws',
      PORT: '20000',
    })
  })

  it('K18: Hive’s own variables win over both', () => {
    const own = [
      'COCOON_SECRET',
      'COCOON_SETUP_TOKEN',
      'COCOON_KIND',
      'COCOON_NAME',
      'COCOON_REQUEST_ID',
      'HIVE_URL_PREFIX',
    ]
    const names = [...own, 'SIGNALING_SERVER_URL', 'PORT', 'PORT_METRICS']
    const forged = Object.fromEntries(names.map((name) => [name, 'forged']))
    const env = cocoonEnvironment({
      ...input,
      kindEnvironment: forged,
      secrets: { ...input.secrets, requestEnvironment: forged },
      leases: [lease(20_000), lease(20_001, { name: 'metrics' })],
    })
    assert.equal(Object.values(env).includes('forged'), false)
  })

  it('leaves out what there is not', () => {
    const secrets = { ...input.secrets, setupToken: null }
    const env = cocoonEnvironment({ ...input, secrets, leases: [], signalingUrl: null })
    for (const name of ['COCOON_SETUP_TOKEN', 'SIGNALING_SERVER_URL', 'PORT']) assert.equal(name in env, false, name)
  })

  it('names a script’s further ports, and no port of a container', () => {
    const leases = [lease(20_000), lease(20_001, { name: 'metrics' }), lease(20_002, { name: 'web-socket.2' })]
    const env = cocoonEnvironment({ ...input, leases })
    assert.deepEqual([env['PORT_METRICS'], env['PORT_WEB_SOCKET_2']], ['20001', '20002'])
    const container = cocoonEnvironment({ ...input, leases: [lease(20_000, { port: 80 })], script: false })
    assert.equal(container['PORT'], '80', 'the port inside')
    assert.deepEqual(
      Object.keys(container).filter((name) => name.startsWith('PORT_')),
      [],
    )
  })

  it('A10: a variable called __proto__ is a variable', () => {
    const requestEnvironment = JSON.parse('{"__proto__": "polluted"}') as Record<string, string>
    const env = cocoonEnvironment({ ...input, secrets: { ...input.secrets, requestEnvironment } })
    assert.equal(Object.getPrototypeOf(env), Object.prototype)
    assert.equal(Object.hasOwn(env, '__proto__'), true)
  })
})
