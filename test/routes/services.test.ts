import assert from 'node:assert/strict'
import test, { suite } from 'node:test'
import type { ServiceRecord } from '../../src/services/state/record.ts'
import { assertProblem, type ControlHive, openControl } from '../support/control.ts'

const HOST = 'Host: localhost'
const names = (answer: { readonly body: { readonly services: readonly ServiceRecord[] } }) =>
  answer.body.services.map(({ name }) => name)

async function spawnMany(hive: ControlHive, count: number): Promise<readonly string[]> {
  const all: string[] = []
  for (let at = 0; at < count; at++)
    all.push(
      (await hive.spawn({ kind: at % 2 ? 'plain' : 'fake', labels: { at: `${at}`, half: `${at % 2}` } }, '')).name,
    )
  return all
}

suite('GET /services', () => {
  test('gives all by age in pages that neither repeat nor leave out, whatever the page size', async (t) => {
    const hive = await openControl(t)
    const all = await spawnMany(hive, 7)
    for (const limit of [1, 2, 3, 7, 1_000]) {
      const seen: string[] = []
      let cursor: string | null = ''
      while (cursor !== null) {
        const page: Awaited<ReturnType<ControlHive['call']>> = await hive.call(
          'GET',
          `/services?limit=${limit}${cursor && `&cursor=${cursor}`}`,
        )
        assert.ok(page.body.services.length <= limit)
        seen.push(...names(page))
        cursor = page.body.next_cursor
      }
      assert.deepEqual(seen, all)
    }
  })

  test('filters by kind, states and labels, all of which must match', async (t) => {
    const hive = await openControl(t)
    const all = await spawnMany(hive, 4)
    await hive.call('POST', `/services/${all[0]}/stop?wait=stopped`)
    for (const name of all.slice(1)) await hive.call('GET', `/services/${name}?wait=ready`)
    const list = async (query: string) => names(await hive.call('GET', `/services?${query}`))
    assert.deepEqual(await list('kind=plain'), [all[1], all[3]])
    assert.deepEqual(await list('kind=nope'), [])
    assert.deepEqual(await list('state=stopped'), [all[0]])
    assert.deepEqual(await list('state=stopped,running'), all)
    assert.deepEqual(await list('label=half=0'), [all[0], all[2]])
    assert.deepEqual(await list('label=half=0&label=at=2'), [all[2]])
    assert.deepEqual(await list('label=half=0&state=running&kind=fake'), [all[2]])
    assert.deepEqual(await list('label=half='), [])
  })

  test('shows ended services, and removed ones only when asked', async (t) => {
    const hive = await openControl(t)
    const [gone = '', kept = ''] = await spawnMany(hive, 2)
    await hive.call('DELETE', `/services/${gone}`)
    assert.deepEqual(names(await hive.call('GET', '/services')), [kept])
    assert.deepEqual(names(await hive.call('GET', '/services?include=removed')), [gone, kept])
    assert.deepEqual(names(await hive.call('GET', '/services?include=removed&state=removed')), [gone])
  })

  test('A24: queries that are no query of this route are 400, and none of them is slow or fatal', async (t) => {
    const hive = await openControl(t)
    const wrong = [
      ...[
        '-1',
        '0',
        '1001',
        '1e9',
        '1e3',
        '1.5',
        '0x10',
        '',
        '%205',
        'NaN',
        'Infinity',
        '9'.repeat(30),
        '+5',
        '05',
      ].map((limit) => `limit=${limit}`),
      ...['garbage', '!!', '', 'AAAA', Buffer.from('2026-01-01').toString('base64url'), 'x'.repeat(300)].map(
        (cursor) => `cursor=${cursor}`,
      ),
      ...[
        'a[]=1',
        'a[__proto__]=1',
        '__proto__=1',
        '__proto__[x]=1',
        'constructor=1',
        'q=(a+)+$',
        'limit=1&limit=2',
        'kind=a&kind=b',
        'state=nope',
        'state=',
        'state=running,',
        'label=x',
        'label==x',
        'label=',
        'include=all',
        'limit',
        '=',
        '%zz=1',
        '&a=1',
      ],
      'a=1&'.repeat(1_000),
      Array.from({ length: 900 }, (_, at) => `p${at}=${at}`).join('&'),
      Array.from({ length: 33 }, (_, at) => `label=a=${at}`).join('&'),
      `q=${'a'.repeat(5_000)}!`,
    ]
    for (const query of wrong) {
      const answer = await hive.raw(`GET /services?${query} HTTP/1.1`, [HOST, hive.bearer])
      assert.ok(answer.status === 400 || answer.status === 414, `${query.slice(0, 60)}: ${answer.status}`)
      assertProblem(answer, answer.status, answer.body.code, query)
    }
    for (const query of [
      '',
      'limit=1',
      'limit=1000',
      '&',
      '&&limit=5&',
      'label=a=',
      'label=a=b=c',
      'kind=%ff',
      'label=__proto__=x',
    ])
      assert.equal((await hive.raw(`GET /services?${query} HTTP/1.1`, [HOST, hive.bearer])).status, 200, query)
    assert.equal(({} as { x?: unknown }).x, undefined)
  })
})

suite('GET /services/:name', () => {
  test('gives the record with its revision as ETag; unknown names are 404', async (t) => {
    const hive = await openControl(t)
    const { name } = await hive.spawn({ kind: 'fake' })
    const { status, headers, body } = await hive.call('GET', `/services/${name}`)
    assert.equal(status, 200)
    assert.equal(headers.get('etag'), `"${body.revision}"`)
    assert.equal(
      (await hive.raw('GET /services/nobody HTTP/1.1', [HOST, hive.bearer])).body.code,
      'HIVE_SERVICE_UNKNOWN',
    )
  })

  test('id picks one service of a name: another’s id is 404, a former one’s finds its record', async (t) => {
    const hive = await openControl(t)
    const first = await hive.spawn({ kind: 'fake', name: 'heir' })
    await hive.call('DELETE', '/services/heir')
    const second = await hive.spawn({ kind: 'fake', name: 'heir' })
    const other = await hive.spawn({ kind: 'fake', name: 'other' })
    assert.equal((await hive.call('GET', `/services/heir?id=${second.id}`)).body.id, second.id)
    const gone = await hive.call('GET', `/services/heir?id=${first.id}`)
    assert.deepEqual([gone.status, gone.body.service.id], [410, first.id])
    for (const id of [other.id, 'x', '', '__proto__']) {
      assert.equal((await hive.call('GET', `/services/heir?id=${id}`)).status, 404)
      assert.equal((await hive.call('DELETE', `/services/heir?id=${id}`)).status, 404)
      assert.equal((await hive.call('POST', `/services/heir/stop?id=${id}`)).status, 404)
    }
    assert.equal((await hive.call('DELETE', `/services/heir?id=${first.id}`)).body.id, first.id)
    assert.equal((await hive.call('GET', '/services/heir')).body.state, 'running', 'the heir was not touched')
  })

  test('a removed service is 410 with its final record', async (t) => {
    const hive = await openControl(t)
    const { id } = await hive.spawn({ kind: 'fake', name: 'late' })
    await hive.call('DELETE', '/services/late')
    const { status, body } = await hive.call('GET', '/services/late')
    assert.deepEqual([status, body.code, body.service.id, body.service.state], [410, 'HIVE_COCOON_GONE', id, 'removed'])
    assert.deepEqual([body.service.url, body.service.ports], [null, []])
    for (const verb of ['stop', 'start', 'restart'])
      assert.deepEqual((await hive.call('POST', `/services/late/${verb}`)).status, 410)
  })

  test('wait answers when the awaited is there, when it cannot come any more, or when the time is up', async (t) => {
    const hive = await openControl(t)
    const release = hive.runner.hold('start')
    await hive.call('POST', '/spawn', { kind: 'fake', name: 'slow' })
    assert.equal((await hive.call('GET', '/services/slow?wait=running&timeout_s=0')).body.ready, false)
    const ready = hive.call('GET', '/services/slow?wait=ready')
    release()
    assert.equal((await ready).body.ready, true)
    const stopped = hive.call('GET', '/services/slow?wait=stopped')
    const gone = hive.call('GET', '/services/slow?wait=gone')
    await hive.call('POST', '/services/slow/stop')
    assert.equal((await stopped).body.state, 'stopped')
    assert.equal(
      (await hive.call('GET', '/services/slow?wait=ready')).body.state,
      'stopped',
      'it will not come by itself',
    )
    await hive.call('DELETE', '/services/slow')
    assert.equal((await gone).status, 410)
    for (const query of [
      'wait=x',
      'wait=',
      'wait=none',
      'wait=ready&timeout_s=-1',
      'wait=ready&timeout_s=3601',
      'timeout_s=1e2',
      'timeout_s=x',
    ])
      assert.equal((await hive.call('GET', `/services/slow?${query}`)).status, 400, query)
  })
})

suite('DELETE /services/:name', () => {
  test('removes, answers the final record, and can be repeated', async (t) => {
    const hive = await openControl(t)
    const { id } = await hive.spawn({ kind: 'fake', name: 'end' })
    for (let time = 0; time < 2; time++) {
      const { status, body } = await hive.call('DELETE', '/services/end')
      assert.deepEqual([status, body.id, body.state, body.desired], [200, id, 'removed', 'removed'])
    }
    assert.equal(hive.runner.running(id), 0)
    assert.equal((await hive.call('DELETE', '/services/never')).status, 404)
  })

  test('works in every state: while it is prepared, started, stopped, rejected, failed', async (t) => {
    const hive = await openControl(t)
    for (const call of ['prepare', 'start', 'listens'] as const) {
      const release = hive.runner.hold(call)
      const { body } = await hive.call('POST', '/spawn', { kind: 'fake', name: `in-${call}` })
      const removed = await hive.call('DELETE', `/services/in-${call}`)
      release()
      assert.deepEqual([removed.status, removed.body.id, removed.body.state], [200, body.id, 'removed'])
    }
    hive.runner.failNext('start', new Error('not known'))
    await hive.call('POST', '/spawn', { kind: 'fake', name: 'odd' })
    assert.equal((await hive.call('DELETE', '/services/odd')).body.state, 'removed')
    const { id } = await hive.spawn({ kind: 'fake', name: 'died' })
    await hive.runner.exit(id, { code: 7, signal: null, oom: false })
    await hive.call('GET', '/services/died?wait=stopped')
    assert.equal((await hive.call('DELETE', '/services/died')).body.state, 'removed')
  })

  test('wait=none answers 202 at once; a removal that goes on is 202, too', async (t) => {
    const hive = await openControl(t, {
      kinds: [{ id: 'fake', runner_type: 'script', runner_config: { command: 'x', stop_grace: '0s' } }],
    })
    await hive.spawn({ kind: 'fake', name: 'stuck' })
    const release = hive.runner.hold('stop')
    const { status, body } = await hive.call('DELETE', '/services/stuck?wait=none')
    assert.deepEqual([status, body.desired], [202, 'removed'])
    const going = await hive.call('DELETE', '/services/stuck')
    assert.deepEqual([going.status, going.body.state], [202, 'stopping'])
    for (const verb of ['start', 'stop', 'restart']) {
      const { status: conflict, body: problem } = await hive.call('POST', `/services/stuck/${verb}`)
      assert.deepEqual([conflict, problem.code], [409, 'HIVE_STATE_CONFLICT'])
    }
    release()
    assert.equal((await hive.call('GET', '/services/stuck?wait=gone')).status, 410)
  })
})

suite('POST /services/:name/stop, start and restart', () => {
  test('answer 202 while it goes on, 200 when it is done, with the ETag of the record', async (t) => {
    const hive = await openControl(t)
    await hive.spawn({ kind: 'fake', name: 'turn' })
    const release = hive.runner.hold('stop')
    const going = await hive.call('POST', '/services/turn/stop')
    assert.deepEqual([going.status, going.body.desired], [202, 'stopped'])
    release()
    const done = await hive.call('POST', '/services/turn/stop?wait=stopped')
    assert.deepEqual([done.status, done.body.state, done.body.exit.reason], [200, 'stopped', 'stopped'])
    assert.equal(done.headers.get('etag'), `"${done.body.revision}"`)
    assert.equal((await hive.call('POST', '/services/turn/stop')).status, 200, 'stopping twice is no error')
    const started = await hive.call('POST', '/services/turn/start?wait=ready')
    assert.deepEqual([started.status, started.body.state, started.body.attempt], [200, 'running', 2])
    assert.equal(
      (await hive.call('POST', '/services/turn/start?wait=ready')).body.attempt,
      2,
      'starting twice is no error',
    )
    const restarted = await hive.call('POST', '/services/turn/restart?wait=ready')
    assert.deepEqual([restarted.status, restarted.body.attempt, restarted.body.restarts], [200, 3, 2])
    for (const verb of ['stop', 'start', 'restart'])
      assert.equal((await hive.call('POST', `/services/nobody/${verb}`)).status, 404)
    for (const query of ['wait=gone', 'recreate=1', 'recreate=yes', 'force=true'])
      assert.equal((await hive.call('POST', `/services/turn/stop?${query}`)).status, 400, query)
  })

  test('If-Match with the current ETag, a list that holds it or * is honoured; any other is 412 and changes nothing', async (t) => {
    const hive = await openControl(t)
    const { revision } = await hive.spawn({ kind: 'fake', name: 'guarded' })
    const stop = (tag: string) =>
      hive.call('POST', '/services/guarded/stop?wait=stopped', undefined, { 'if-match': tag })
    for (const tag of [
      `"${revision - 1}"`,
      `"${revision + 1}"`,
      `W/"${revision}"`,
      String(revision),
      '""',
      '"*"',
      `'${revision}'`,
    ]) {
      const { status, body } = await stop(tag)
      assert.deepEqual([status, body.code], [412, 'HIVE_REVISION_STALE'], tag)
    }
    assert.equal((await hive.call('GET', '/services/guarded')).body.revision, revision)
    const stopped = await stop(`"0", "${revision}"`)
    assert.deepEqual([stopped.status, stopped.body.state], [200, 'stopped'])
    const any = await hive.call('POST', '/services/guarded/start?wait=ready', undefined, { 'if-match': '*' })
    assert.equal(any.status, 200)
    assert.equal((await stop(`"${stopped.body.revision}"`)).status, 412, 'the tag of an older revision')
  })

  test('of 20 changes at once with one If-Match exactly one is made', async (t) => {
    const hive = await openControl(t)
    const { revision } = await hive.spawn({ kind: 'fake', name: 'contested' })
    const restart = () => hive.call('POST', '/services/contested/restart', undefined, { 'if-match': `"${revision}"` })
    const answers = await Promise.all(Array.from({ length: 20 }, restart))
    const statuses = answers.map(({ status }) => status).sort()
    assert.deepEqual(statuses, [202, ...Array.from({ length: 19 }, () => 412)])
    assert.equal((await hive.call('GET', '/services/contested?wait=ready')).body.attempt, 2)
  })
})
