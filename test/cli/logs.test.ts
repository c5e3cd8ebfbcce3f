import assert from 'node:assert/strict'
import { test } from 'node:test'
import { main } from '../../src/cli/main.ts'
import { until } from '../support/deadline.ts'
import { openHive } from '../support/hive.ts'
import { ownPortRange } from '../support/port-range.ts'

test('logs puts each line where the cocoon wrote it, follows to the end, and show tells the post-mortem', async (t) => {
  const program = 'echo out; echo err >&2; sleep 0.3; echo more; exit 3'
  const kinds = [
    { id: 'talker', runner_type: 'script', runner_config: { command: 'sh', args: ['-c', program], restart: 'never' } },
  ]
  const hive = await openHive(t, { kinds, env: { HIVE_PORT_RANGE: ownPortRange() } })
  await hive.spawn({ kind: 'talker', name: 'talker' }, '')
  const run = async (...argv: string[]) => {
    const wrote = { code: 0, out: '', err: '' }
    const stdout = { write: (text: string) => (wrote.out += text) }
    const stderr = { write: (text: string) => (wrote.err += text) }
    const env = { HIVE_URL: hive.url, HIVE_TOKEN: hive.token }
    wrote.code = await main(argv, env, { stdout, stderr, version: 'test' })
    return wrote
  }
  assert.deepEqual(await run('logs', 'talker', '-f'), { code: 0, out: 'out\nmore\n', err: 'err\n' })
  assert.equal((await run('logs', 'talker', '--tail', '1')).out, 'more\n')
  const records = (await run('logs', 'talker', '--json', '--after', '1')).out.trim().split('\n')
  assert.deepEqual(
    records.map((line) => JSON.parse(line).seq),
    [2, 3],
  )
  assert.equal((await run('logs', 'talker', '--tail', 'x')).code, 2)
  assert.equal((await run('logs', 'talker', '--since', '10m')).out, 'out\nmore\n')
  assert.equal((await run('logs', 'talker', '--since', '1970-01-01')).out, 'out\nmore\n')
  assert.equal((await run('logs', 'talker', '--since', '9999-12-31T23:59:59Z')).out, '')
  const wrong = await run('logs', 'talker', '--since', 'yesterday')
  assert.equal(wrong.code, 2)
  assert.match(wrong.err, /--since must be a time such as .*10m/)
  assert.equal((await run('logs', 'nobody')).code, 3)
  await until(async () => (await hive.call('GET', '/services/talker')).body.exit, 10_000, 'its end')
  await hive.call('DELETE', '/services/talker')
  const told = await run('show', 'talker', '--post-mortem')
  assert.match(told.out, /exit {8}code 3.*\ntimeline\n.*"requested".*last output\n.*stdout {2}more/s)
})
