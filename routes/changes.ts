import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { HiveError } from '../src/errors.ts'
import { ChangeHeaders, ChangeQuery, NameParams, problems, ServiceRef } from '../src/schemas.ts'
import type { IntentRequest } from '../src/services/state/step.ts'
import { isOver, type WaitFor } from '../src/services/waiting.ts'

interface Verb {
  readonly summary: string
  readonly intent: Omit<IntentRequest, 'by'>
  /** What the change is over with, when the client waits without saying for what. */
  readonly until: WaitFor
}

const VERBS: Readonly<Record<'stop' | 'start' | 'restart', Verb>> = {
  stop: { summary: 'Stop a cocoon and keep its record', intent: { desired: 'stopped' }, until: 'stopped' },
  start: { summary: 'Start a stopped cocoon again', intent: { desired: 'running' }, until: 'ready' },
  restart: { summary: 'Stop a cocoon and start it again', intent: { desired: 'running', again: true }, until: 'ready' },
}

const routes: FastifyPluginAsyncTypebox = async (app) => {
  for (const [verb, { summary, intent, until }] of Object.entries(VERBS)) {
    const schema = {
      operationId: `${verb}Service`,
      summary,
      description: '202 and the record while it goes on, 200 when it is done. If-Match with an ETag is honoured.',
      tags: ['services'],
      params: NameParams,
      querystring: ChangeQuery,
      headers: ChangeHeaders,
      response: { 200: ServiceRef, 202: ServiceRef, ...problems(404, 409, 410, 412, 507) },
    }
    app.post(`/services/:name/${verb}`, { schema }, async (request, reply) => {
      const { id, wait, timeout_s = 60, recreate = false } = request.query
      const found = app.findService(request.params.name, id)
      if (found.record.state === 'removed')
        throw new HiveError('HIVE_COCOON_GONE', 'spawn a new one', { extra: { service: app.services.present(found) } })
      let row = await app.supervisor.intend(found.record.id, {
        ...intent,
        by: 'api',
        recreate,
        revisions: revisionsOf(request.headers['if-match']),
      })
      const waited = wait === undefined || wait === 'none' ? null : wait
      if (waited !== null) row = await app.waitFor(request, row, { for: waited, ms: timeout_s * 1000 })
      const service = app.services.present(row)
      return reply
        .status(isOver(row, waited ?? until) ? 200 : 202)
        .header('etag', `"${service.revision}"`)
        .send(service)
    })
  }
}

/** RFC 9110 §13.1.1: compared strongly, so a weak tag matches nothing; null = no condition, `*` matches any. */
function revisionsOf(ifMatch: string | undefined): readonly number[] | null {
  if (ifMatch === undefined || ifMatch.trim() === '*') return null
  return ifMatch.split(',').flatMap((tag) => {
    const revision = /^"(\d{1,15})"$/.exec(tag.trim())?.[1]
    return revision === undefined ? [] : [Number(revision)]
  })
}

export default routes
