import type { FastifyInstance, FastifyRequest } from 'fastify'
import plugin from 'fastify-plugin'
import { HiveError } from '../src/errors.ts'
import { isServiceName, NAME_RULE, plainName } from '../src/services/names.ts'
import type { ServiceRow } from '../src/services/state/record.ts'
import { isOver, type WaitFor } from '../src/services/waiting.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /**
     * The service a request names, also as `cocoons:<name>`.
     * @throws HIVE_REQUEST_INVALID  no service can have such a name.
     * @throws HIVE_SERVICE_UNKNOWN  none, or `id` is another's.
     */
    findService(name: string, id?: string): ServiceRow
    /** The newest row once the awaited is there or hopeless, the time is up, or the client is gone. */
    waitFor(
      request: FastifyRequest,
      row: ServiceRow,
      wait: { readonly for: WaitFor; readonly ms: number },
    ): Promise<ServiceRow>
  }
}

const RETRY_AFTER_S = 5

export default plugin(
  async (app: FastifyInstance) => {
    app.decorate('findService', (given: string, id?: string) => {
      const name = plainName(given)
      if (!isServiceName(name)) throw new HiveError('HIVE_REQUEST_INVALID', `a service name ${NAME_RULE}`)
      const current = app.services.byName(name)
      // A name may have passed on: the id still finds the service that had it before.
      const row = id === undefined || current?.record.id === id ? current : app.services.byId(id)
      if (row === null || row.record.name !== name)
        throw new HiveError('HIVE_SERVICE_UNKNOWN', 'GET /services lists the services there are')
      return row
    })
    app.decorate('waitFor', async (request: FastifyRequest, row: ServiceRow, wait: { for: WaitFor; ms: number }) => {
      const { id } = row.record
      const gone = new AbortController()
      const leave = () => gone.abort()
      request.raw.socket.once('close', leave)
      try {
        const signal = AbortSignal.any([gone.signal, app.closing, AbortSignal.timeout(wait.ms)])
        return (
          (await app.services.until(id, (newest) => isOver(newest, wait.for), signal)) ?? app.services.byId(id) ?? row
        )
      } finally {
        request.raw.socket.off('close', leave)
      }
    })
    const closing = new AbortController()
    const begin = () => closing.abort()
    app.decorate('closing', closing.signal).decorate('beginClosing', begin)
    app.addHook('preClose', async () => begin())
    // Connections that are kept alive still bring requests then.
    app.addHook('onRequest', (_request, reply, done) => {
      if (!closing.signal.aborted) return done()
      reply.header('connection', 'close')
      return done(new HiveError('HIVE_SHUTTING_DOWN', 'try again when Hive is back', { retryAfterS: RETRY_AFTER_S }))
    })
  },
  { name: 'waits', dependencies: ['services'] },
)

declare module 'fastify' {
  interface FastifyInstance {
    /** Aborts when Hive begins to shut down: long answers end then. */
    closing: AbortSignal
    /** Ends long answers and refuses further requests; closing the app begins with it. */
    beginClosing(): void
  }
}
