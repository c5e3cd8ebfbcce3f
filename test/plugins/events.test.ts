import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import type { HiveEvent } from '../../src/events/event.ts'
import { until } from '../support/deadline.ts'
import { listen } from '../support/event-reader.ts'
import { type HiveOptions, openHive, type TestHive } from '../support/hive.ts'
import { ownPortRange } from '../support/port-range.ts'

const KINDS = [
  { id: 'good', runner_type: 'script', runner_config: { command: 'sh', args: ['-c', 'exec sleep 1000'] } },
  { id: 'other', runner_type: 'script', runner_config: { command: 'sh', args: ['-c', 'exit 3'] } },
]

function openEvents(t: TestContext, options: HiveOptions = {}): Promise<TestHive> {
  return openHive(t, { kinds: KINDS, ...options, env: { HIVE_PORT_RANGE: ownPortRange(), ...options.env } })
}

function storyOf(events: readonly HiveEvent[], name: string): string[] {
  return events
    .filter(({ service, type }) => service?.name === name && type === 'state')
    .map(({ data }) => `${data['state']}`)
}

test('every state of a cocoon is told in order, with its exit and by whom it was asked', async (t) => {
  const hive = await openEvents(t)
  const live = listen(t, hive)
  await until(() => live.got.length > 0, 10_000, 'the greeting')
  await hive.spawn({ kind: 'good', name: 'one' })
  await hive.call('DELETE', '/services/one')
  await until(() => storyOf(live.events(), 'one').includes('removed'), 20_000, 'the removal')
  const events = live.events()
  assert.deepEqual(storyOf(events, 'one'), [
    'requested',
    'preparing',
    'starting',
    'running',
    'stopping',
    'stopped',
    'removed',
  ])
  assert.equal(events.find(({ type }) => type === 'intent')?.data['by'], 'api')
  assert.equal(events.find(({ type }) => type === 'exit')?.data['signal'], 'SIGTERM')
  assert.ok(events.every(({ seq }, index) => index === 0 || seq > (events[index - 1]?.seq ?? 0)))
})

test('a reader that comes back after a restart of Hive gets each event once, in order', async (t) => {
  const first = await openEvents(t)
  const early = listen(t, first, '?after=0')
  await first.spawn({ kind: 'good', name: 'one' })
  await until(() => storyOf(early.events(), 'one').includes('running'), 20_000, 'running')
  early.stop()
  await early.done
  await first.spawn({ kind: 'good', name: 'two' })
  await first.close()
  const second = await openEvents(t, { directory: first.directory })
  const last = early.events().at(-1)?.seq
  const late = listen(t, second, '', { 'last-event-id': `${last}` })
  await until(() => storyOf(late.events(), 'two').includes('running'), 20_000, 'what was missed')
  const all = listen(t, second, '?after=0')
  await until(() => storyOf(all.events(), 'two').includes('running'), 20_000, 'everything')
  const joined = [...early.events(), ...late.events()].map(({ seq }) => seq)
  assert.deepEqual(
    joined,
    all
      .events()
      .map(({ seq }) => seq)
      .slice(0, joined.length),
  )
})

test('filters leave out what was not asked for; A26: a Last-Event-ID that is none is ignored, too large a one resets', async (t) => {
  const hive = await openEvents(t, { env: { HIVE_NO_SUCH: '1' } })
  await hive.spawn({ kind: 'good', name: 'one' })
  await hive.spawn({ kind: 'other', name: 'two' }, '')
  const all = listen(t, hive, '?after=0')
  await until(
    () => all.events().some(({ type, service }) => type === 'exit' && service?.name === 'two'),
    20_000,
    'the exit',
  )
  assert.match(String(all.events().find(({ type }) => type === 'config')?.data['warning']), /HIVE_NO_SUCH/)
  const only = async (query: string) => {
    const some = listen(t, hive, `?after=0&${query}`)
    await until(() => some.events().length > 0, 10_000, query)
    return some.events()
  }
  assert.ok((await only('name=cocoons:one')).every(({ service }) => service?.name === 'one'))
  assert.ok(
    (await only('kind=other&type=exit,state')).every(
      ({ service, type }) => service?.kind === 'other' && type !== 'intent',
    ),
  )
  assert.equal((await hive.call('GET', '/events?type=nonsense')).status, 400)
  const garbage = listen(t, hive, '', { 'last-event-id': 'garbage' })
  await until(() => garbage.got.length > 0, 10_000, 'the greeting')
  assert.equal(garbage.events().length, 0)
  const ahead = listen(t, hive, '', { 'last-event-id': '999999' })
  await until(() => ahead.got.length > 0, 10_000, 'the reset')
  assert.equal(ahead.got[0]?.event, 'reset')
  for (const reader of [all, garbage, ahead]) reader.stop()
})

test('what was pruned is told by one reset, and its numbers are not used again', async (t) => {
  const hive = await openEvents(t)
  await hive.spawn({ kind: 'good', name: 'one' })
  const { last } = await hive.app.events.after(0)
  await hive.app.serviceTable.pruneEvents({ before: '9999', keep: 0 })
  const late = listen(t, hive, '', { 'last-event-id': '1' })
  await until(() => late.got.length > 0, 10_000, 'the reset')
  assert.deepEqual([late.got[0]?.event, late.got[0]?.id], ['reset', String(last)])
  await hive.spawn({ kind: 'good', name: 'two' })
  await until(() => storyOf(late.events(), 'two').includes('running'), 10_000, 'what is new')
  assert.equal(late.events()[1]?.seq, last + 1)
})

test('F61: readers that are gone leave no listener', async (t) => {
  const hive = await openEvents(t)
  const readers = Array.from({ length: 50 }, () => listen(t, hive))
  await until(() => hive.app.events.listeners === 50, 10_000, 'fifty readers')
  for (const reader of readers) reader.stop()
  await until(() => hive.app.events.listeners === 0, 10_000, 'the end of all readers')
})
