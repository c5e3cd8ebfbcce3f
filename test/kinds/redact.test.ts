import assert from 'node:assert/strict'
import { test } from 'node:test'
import { redactKind } from '../../src/kinds/redact.ts'
import { boxText, kindsOf, nativeText } from '../support/kind-texts.ts'

test('redactKind: exactly four fields, environment names without their values', () => {
  const [kind] = kindsOf(boxText({ environment: { PASSWORD: 'planted', __proto__x: 'planted' }, args: ['{kind}'] }))
  assert.deepEqual(redactKind(kind!), {
    id: 'box',
    runner_type: 'docker',
    runner_config: {
      image: 'busybox',
      environment: { PASSWORD: '[redacted]', __proto__x: '[redacted]' },
      args: ['{kind}'],
    },
    image: 'busybox',
  })
})

test('redactKind: a script kind has the empty image, and a config without environment stays as written', () => {
  const [kind] = kindsOf(nativeText({ args: ['a'] }))
  assert.deepEqual(redactKind(kind!), {
    id: 'native',
    runner_type: 'script',
    runner_config: { command: 'worker', args: ['a'] },
    image: '',
  })
})

test('redactKind: the kind itself keeps its values and cannot be changed', () => {
  const [kind] = kindsOf(boxText({ environment: { A: 'planted' } }))
  redactKind(kind!)
  assert.deepEqual(kind?.runner_config['environment'], { A: 'planted' })
  assert.throws(() => Object.assign(kind?.runner_config['environment'] as object, { A: 'x' }), TypeError)
})
