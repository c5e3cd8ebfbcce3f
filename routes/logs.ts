import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyReply } from 'fastify'
import { LogsQuery, LogText } from '../src/api/observe-schemas.ts'
import { HiveError } from '../src/errors.ts'
import { streamAnswer } from '../src/http/stream-answer.ts'
import { type LogFormat, logText, slowText } from '../src/logs/follow.ts'
import { cursorAfter, type LogCursor, oldestCursor } from '../src/logs/read-log.ts'
import type { ServiceLog } from '../src/logs/service-log.ts'
import { parseSince, SINCE_FORMS } from '../src/logs/since.ts'
import { NameParams, problems } from '../src/schemas.ts'
import { isHopeless } from '../src/services/waiting.ts'

const MAX_FOLLOWERS = 20
const TYPES = { ndjson: 'application/x-ndjson; charset=utf-8', sse: 'text/event-stream; charset=utf-8' } as const

const schema = {
  operationId: 'getLogs',
  summary: 'What a cocoon wrote to stdout and stderr',
  description:
    'One JSON object per line, or server-sent events if Accept asks for text/event-stream. ' +
    'Reading goes on with after=<the last seq>, also after a restart of the cocoon or of Hive, and for 24 hours after its removal.',
  tags: ['services'],
  params: NameParams,
  querystring: LogsQuery,
  response: {
    200: {
      description: 'The lines',
      content: { 'application/x-ndjson': { schema: LogText }, 'text/event-stream': { schema: LogText } },
    },
    ...problems(404),
  },
}

const routes: FastifyPluginAsyncTypebox = async (app) => {
  const followers = new Map<string, number>()

  /** Counts a follower in; the returned function counts it out. */
  function enter(id: string): () => void {
    const count = followers.get(id) ?? 0
    if (count >= MAX_FOLLOWERS)
      throw new HiveError('HIVE_TOO_MANY_FOLLOWERS', `at most ${MAX_FOLLOWERS} may follow one log at a time`, {
        retryAfterS: 5,
      })
    followers.set(id, count + 1)
    const leave = app.services.activity.follow(id)
    return () => {
      leave()
      const left = (followers.get(id) ?? 1) - 1
      if (left > 0) followers.set(id, left)
      else followers.delete(id)
    }
  }

  app.get('/services/:name/logs', { schema }, async (request, reply) => {
    const { id, tail, follow = false } = request.query
    const since = readSince(request.query.since, app.logs.now())
    const row = app.findService(request.params.name, id)
    const format = /text\/event-stream/.test(request.headers.accept ?? '') ? 'sse' : 'ndjson'
    const after = request.query.after ?? lastEventId(format, request.headers['last-event-id'])
    const leave = follow ? enter(row.record.id) : () => undefined
    try {
      const log = await app.logs.open(row.record.id)
      let passed = 0
      const parts = {
        log,
        from: await startOf(log, after, tail),
        since,
        format,
        isOver: follow ? () => isAtRest(row.record.id) : null,
        onPassed: (seq: number) => {
          passed = seq
        },
      } as const
      const gone = new AbortController()
      reply.raw.once('close', () => gone.abort())
      reply.hijack()
      const pieces = logText(parts, AbortSignal.any([gone.signal, app.closing]))
      await streamAnswer(reply.raw, {
        headers: headersOf(reply, format),
        pieces,
        farewell: () => slowText(passed, format),
      })
    } finally {
      leave()
    }
  })

  /** Nothing will be written any more, and all that was is in the log. */
  function isAtRest(id: string): boolean {
    const row = app.services.byId(id)
    return row === null || (isHopeless(row) && !app.logs.isCollecting(id))
  }
}

function headersOf(reply: FastifyReply, format: LogFormat): Record<string, string> {
  const own = { 'content-type': TYPES[format], 'cache-control': 'no-store', 'x-accel-buffering': 'no' }
  const given = Object.entries(reply.getHeaders()).map(([name, value]) => [name, String(value)] as const)
  return { ...Object.fromEntries(given), ...own }
}

/** @throws HIVE_REQUEST_INVALID  it is no time. */
function readSince(text: string | undefined, now: Date): number | null {
  if (text === undefined) return null
  const since = parseSince(text, now.getTime())
  if (since !== null) return since
  const fields = [{ pointer: '/since', detail: `must be ${SINCE_FORMS}` }]
  throw new HiveError('HIVE_REQUEST_INVALID', 'the querystring does not fit its schema: see errors', { fields })
}

async function startOf(log: ServiceLog, after: number | undefined, tail: number | undefined): Promise<LogCursor> {
  const oldest = await oldestCursor(log)
  // A log that was begun anew under this name has not come as far as the one before had.
  const passed = after === undefined ? undefined : Math.min(after, log.lastSeq)
  if (tail !== undefined) return cursorAfter(Math.max(passed ?? 0, oldest.seq, log.lastSeq - tail))
  return passed === undefined ? oldest : cursorAfter(passed)
}

/** What a browser's EventSource sends when it comes back; anything else it might say is not ours and ignored. */
function lastEventId(format: LogFormat, given: string | string[] | undefined): number | undefined {
  return format === 'sse' && typeof given === 'string' && /^\d{1,15}$/.test(given) ? Number(given) : undefined
}

export default routes
