import assert from 'node:assert/strict'
import { test } from 'node:test'
import { hive } from '../support/command-line.ts'
import { startStubHive } from '../support/stub-hive.ts'

const answer = {
  kinds: [
    { id: 'native', runner_type: 'script', runner_config: {}, image: '', available: true, reason: null },
    {
      id: 'ubuntu',
      runner_type: 'docker',
      runner_config: {},
      image: 'u',
      available: false,
      reason: 'no docker socket',
    },
  ],
}

test('kinds prints exactly the lines of the project description, available or not', async (t) => {
  const stub = await startStubHive(t, () => ({ status: 200, body: answer }))
  const ran = await hive(['kinds', '--url', stub.url])
  assert.deepEqual(ran, { code: 0, stdout: 'native (script)\nubuntu (docker)\n', stderr: '' })
})

test('kinds --long says what is missing', async (t) => {
  const stub = await startStubHive(t, () => ({ status: 200, body: answer }))
  const ran = await hive(['kinds', '--long', '--url', stub.url])
  assert.equal(ran.stdout, 'native (script)\nubuntu (docker)  unavailable: no docker socket\n')
})

test('kinds --json prints the answer as it came', async (t) => {
  const stub = await startStubHive(t, () => ({ status: 200, body: answer }))
  const ran = await hive(['kinds', '--json', '--url', stub.url])
  assert.deepEqual(JSON.parse(ran.stdout), answer)
})
