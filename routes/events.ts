import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { EventsQuery, EventText } from '../src/api/observe-schemas.ts'
import { HiveError } from '../src/errors.ts'
import { EVENT_TYPES, type EventType } from '../src/events/event.ts'
import { eventText } from '../src/events/event-text.ts'
import { streamAnswer } from '../src/http/stream-answer.ts'
import { problems } from '../src/schemas.ts'

const MAX_READERS = 100

const schema = {
  operationId: 'getEvents',
  summary: 'What happens, as server-sent events',
  description:
    'Each event has a number that never comes twice, also over restarts of Hive. With Last-Event-ID (or after) it goes ' +
    'on there; one reset event says that some of what was between is not kept any more. A comment comes every 15 s.',
  tags: ['services'],
  querystring: EventsQuery,
  response: {
    200: { description: 'The events', content: { 'text/event-stream': { schema: EventText } } },
    ...problems(),
  },
}

const routes: FastifyPluginAsyncTypebox = async (app) => {
  let readers = 0
  app.get('/events', { schema }, async (request, reply) => {
    const { name, kind, type, after } = request.query
    const filter = { names: listOf(name), kinds: listOf(kind), types: typesOf(type) }
    if (readers >= MAX_READERS)
      throw new HiveError('HIVE_TOO_MANY_FOLLOWERS', `at most ${MAX_READERS} may read events at a time`, {
        retryAfterS: 5,
      })
    readers++
    try {
      const gone = new AbortController()
      reply.raw.once('close', () => gone.abort())
      reply.hijack()
      const from = lastEventId(request.headers['last-event-id']) ?? after ?? null
      const headers = Object.entries(reply.getHeaders()).map(([key, value]) => [key, String(value)] as const)
      await streamAnswer(reply.raw, {
        headers: {
          ...Object.fromEntries(headers),
          'content-type': 'text/event-stream; charset=utf-8',
          'cache-control': 'no-store',
          'x-accel-buffering': 'no',
        },
        pieces: eventText({ feed: app.events, after: from, filter }, AbortSignal.any([gone.signal, app.closing])),
        farewell: () => 'event: slow\ndata: {}\n\n',
      })
    } finally {
      readers--
    }
  })
}

/** Whatever is no number of ours is ignored, as for a client that has none. */
function lastEventId(given: string | string[] | undefined): number | null {
  return typeof given === 'string' && /^\d{1,15}$/.test(given) ? Number(given) : null
}

function listOf(text: string | undefined): readonly string[] | null {
  return text === undefined ? null : text.split(',').map((item) => item.trim().replace(/^cocoons:/, ''))
}

function typesOf(text: string | undefined): readonly EventType[] | null {
  return (
    listOf(text)?.map((item) => {
      const known = EVENT_TYPES.find((type) => type === item)
      if (!known) throw new HiveError('HIVE_REQUEST_INVALID', `type must be one of ${EVENT_TYPES.join(', ')}`)
      return known
    }) ?? null
  )
}

export default routes
