import assert from 'node:assert/strict'
import { readdir, stat } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { startHiveProcess } from '../support/crash/hive-process.ts'
import { until, within } from '../support/deadline.ts'
import { openHive, type TestHive } from '../support/hive.ts'
import { type AnyLine, followLines, linesOf, logText, outputOf } from '../support/log-reader.ts'
import { ownPortRange } from '../support/port-range.ts'
import { tempDirectory } from '../support/temp-directory.ts'

function talker(program: string) {
  return [{ id: 'talker', runner_type: 'script', runner_config: { command: 'sh', args: ['-c', program] } }]
}

async function spawnTalker(t: TestContext, program: string): Promise<TestHive> {
  const hive = await openHive(t, { kinds: talker(program), env: { HIVE_PORT_RANGE: ownPortRange() } })
  await hive.spawn({ kind: 'talker', name: 'talker' }, '')
  return hive
}

async function diskOf(directory: string): Promise<number> {
  const names = await readdir(directory, { recursive: true }).catch(() => [])
  const sizes = names.map((name) =>
    stat(join(directory, name)).then(
      (found) => (found.isFile() ? found.blocks * 512 : 0),
      () => 0,
    ),
  )
  return (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0)
}

test('F60: 1 GB of output leaves memory and disk bounded, Hive answering, and what is lost counted', async (t) => {
  const hive = await spawnTalker(t, 'head -c 1000000000 /dev/zero | tr "\\0" "a"; echo; echo end; exec sleep 1000')
  const { record } = hive.app.services.byName('talker') ?? assert.fail()
  const raw = join(hive.directory, 'run', record.id)
  let worstDisk = 0
  let worstRss = 0
  const started = process.memoryUsage().rss
  await until(
    async () => {
      worstDisk = Math.max(worstDisk, await diskOf(raw))
      worstRss = Math.max(worstRss, process.memoryUsage().rss - started)
      assert.equal((await hive.call('GET', '/livez')).status, 200)
      return linesOf(await logText(hive, 'talker', '?tail=1')).at(-1)?.line === 'end'
    },
    90_000,
    'the end of the output',
  )
  const lines = linesOf(await logText(hive, 'talker', ''))
  const kept = lines.filter(({ dropped }) => dropped === undefined)
  assert.ok((await diskOf(join(hive.directory, 'logs'))) < 40_000_000)
  assert.ok((await diskOf(raw)) < 40_000_000)
  assert.ok(worstDisk < 500_000_000, `${worstDisk} bytes of raw output at worst`)
  assert.ok(worstRss < 200_000_000, `${worstRss} bytes more at worst`)
  assert.ok(kept.length > 100)
})

test('F60: a million short lines of yes do not keep Hive from its work', async (t) => {
  const hive = await spawnTalker(t, 'yes | head -n 1000000; echo end; exec sleep 1000')
  await until(() => linesOfTail(hive).then((line) => line === 'y'), 20_000, 'the first lines')
  for (let count = 0; count < 20; count++) assert.equal((await hive.call('GET', '/services')).status, 200)
  await until(() => linesOfTail(hive).then((line) => line === 'end'), 90_000, 'the last line')
  const lines = linesOf(await logText(hive, 'talker', '?tail=1000'))
  assert.deepEqual(
    lines.map(({ seq }) => seq),
    lines.map((_line, index) => (lines[0]?.seq ?? 0) + index),
  )
})

async function linesOfTail(hive: TestHive): Promise<string | undefined> {
  return linesOf(await logText(hive, 'talker', '?tail=1')).at(-1)?.line
}

test('F61 A25: followers are limited, and abandoned ones leave nothing behind', async (t) => {
  const hive = await spawnTalker(t, 'while :; do echo tick; sleep 0.05; done')
  const id = hive.app.services.byName('talker')?.record.id ?? ''
  const log = await hive.app.logs.open(id)
  const followers = () => hive.app.services.activity.followers(id)
  for (let round = 0; round < 10; round++) {
    const sockets = Array.from({ length: 20 }, () => {
      const socket = connect(hive.port, '127.0.0.1')
      socket.on('error', () => undefined)
      // Asks, and never reads a byte.
      socket.pause()
      socket.write(
        `GET /services/talker/logs?follow=true HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer ${hive.token}\r\n\r\n`,
      )
      return socket
    })
    await until(() => followers() === 20, 30_000, 'twenty followers')
    const { status, body, headers } = await hive.call('GET', '/services/talker/logs?follow=true')
    assert.deepEqual([status, body.code, headers.get('retry-after')], [429, 'HIVE_TOO_MANY_FOLLOWERS', '5'])
    for (const socket of sockets) socket.destroy()
    await until(() => followers() === 0 && log.listeners === 0, 30_000, 'the end of all followers')
  }
})

test('A25: a follower that claims to have more than there is hears what is new', async (t) => {
  const hive = await spawnTalker(t, 'while :; do echo tick; sleep 0.05; done')
  const over = new AbortController()
  const heard = Promise.withResolvers<string>()
  const path = `${hive.url}/services/talker/logs?follow=true&after=99999999`
  const following = followLines(path, hive.token, { onLine: ({ line }) => heard.resolve(line), signal: over.signal })
  following.catch(() => undefined) // it is told to stop
  t.after(() => over.abort())
  assert.equal(await within(heard.promise, 20_000, 'a line'), 'tick')
})

test('A25 A26: odd queries are clamped, ignored or refused', async (t) => {
  const hive = await spawnTalker(t, 'echo 1; echo 2; exec sleep 1000')
  await until(() => linesOfTail(hive).then((line) => line === '2'), 20_000, 'two lines')
  const count = async (query: string) => linesOf(await logText(hive, 'talker', query)).length
  assert.equal(await count('?tail=1000000000000'), 2)
  assert.equal(await count('?tail=0'), 0)
  assert.equal(await count('?since=9999-12-31T23:59:59Z'), 0)
  assert.equal(await count('?since=1970-01-01T00:00:00Z'), 2)
  assert.equal(await count('?since=1970-01-01T02:00+02:00'), 2)
  assert.equal(await count('?since=1970-01-01'), 2)
  assert.equal(await count('?since=10m'), 2)
  assert.equal(await count('?since=0s'), 0)
  assert.equal(await count('?after=99999999'), 0)
  for (const query of [
    '?tail=1e12',
    '?tail=-1',
    '?since=NaN',
    '?since=10',
    '?since=',
    '?since=-1m',
    '?since=2026-13-01',
    '?after=x',
    '?follow=1',
    '?unknown=1',
  ])
    assert.equal((await hive.call('GET', `/services/talker/logs${query}`)).status, 400, query)
  assert.equal((await hive.call('GET', '/services/nobody/logs')).status, 404)
  for (const [id, seqs] of [
    ['1', 'id: 2'],
    ['garbage', 'id: 1\n.*id: 2'],
  ] as const) {
    const { text } = await hive.call('GET', '/services/talker/logs', undefined, {
      accept: 'text/event-stream',
      'last-event-id': id,
    })
    assert.match(text, new RegExp(`^${seqs}`, 's'))
  }
})

test('F62: Hive killed with SIGKILL while it streams, again and again: the follower ends up with every byte once', async (t) => {
  const stateDir = await tempDirectory(t)
  const program = 'i=0; while [ $i -lt 12000 ]; do i=$((i+1)); echo "line $i"; done; echo end >&2; exec sleep 1000'
  const env = {
    HIVE_STATE_DIR: stateDir,
    HIVE_PORT: '0',
    HIVE_PORT_RANGE: ownPortRange(),
    COCOON_KINDS: JSON.stringify(talker(program)),
  }
  let hive = await startHiveProcess({ env })
  t.after(async () => {
    await fetch(`${hive.url}/services/talker`, { method: 'DELETE', headers: auth(hive.token) })
    await hive.end('SIGTERM')
  })
  await fetch(`${hive.url}/spawn`, {
    method: 'POST',
    headers: { ...auth(hive.token), 'content-type': 'application/json' },
    body: JSON.stringify({ kind: 'talker', name: 'talker' }),
  })
  const seen: AnyLine[] = []
  for (let kills = 0; !seen.some(({ line }) => line === 'end') || seen.length < 12_001; ) {
    const stop = new AbortController()
    const wanted = seen.length + 2500
    const over = new Promise<void>((resolve) => {
      const onLine = (line: AnyLine) => {
        seen.push(line)
        if (seen.length === wanted || seen.length === 12_001) resolve()
      }
      const url = `${hive.url}/services/talker/logs?follow=true&after=${seen.at(-1)?.seq ?? 0}`
      followLines(url, hive.token, { onLine, signal: stop.signal }).catch(() => resolve())
    })
    await within(over, 30_000, 'more lines')
    if (seen.length >= 12_001) {
      stop.abort()
      break
    }
    await hive.end('SIGKILL')
    await over
    stop.abort()
    kills++
    assert.ok(kills < 20)
    hive = await startHiveProcess({ env })
  }
  assert.deepEqual(
    seen.map(({ seq }) => seq),
    seen.map((_line, index) => index + 1),
  )
  const expected = Array.from({ length: 12_000 }, (_none, index) => `line ${index + 1}\n`).join('')
  assert.equal(outputOf(seen, 'stdout'), expected)
  assert.equal(outputOf(seen, 'stderr'), 'end\n')
})

function auth(token: string) {
  return { authorization: `Bearer ${token}` }
}
