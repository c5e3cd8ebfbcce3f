import type { IncomingMessage } from 'node:http'
import type { FastifyInstance } from 'fastify'
import plugin from 'fastify-plugin'
import { HiveError } from '../src/errors.ts'
import { requestGuard } from '../src/http/guard.ts'
import { isCocoonTarget, isDataPlane, targetReader } from '../src/http/request-target.ts'
import { hardenServer } from '../src/http/server-options.ts'
import { hasBody } from '../src/proxy/upload.ts'
import type { HiveConfig } from '../src/settings.ts'

export interface HostGuardOptions {
  readonly config: HiveConfig
  /** A control request's body must arrive whole within this time; uploads to cocoons have idle limits instead. */
  readonly bodyMs?: number
}

/** Checks every request before any other hook: framing, host, and which plane it may use. Registered first. */
export default plugin(
  async (app: FastifyInstance, { config, bodyMs = 30_000 }: HostGuardOptions) => {
    const readTarget = targetReader(config)
    const refuse = requestGuard(readTarget)
    hardenServer(app.server)
    app.addHook('onRequest', (request, reply, done) => {
      const refused = refuse(request.raw)
      if (refused !== null) {
        reply.header('connection', 'close')
        return done(refused)
      }
      if (isCocoonTarget(readTarget(request.raw))) return done()
      if (isDataPlane(request.raw)) return done(new HiveError('HIVE_NOT_FOUND', 'This port serves cocoons only.'))
      if (hasBody(request.raw))
        limitBody(request.raw, bodyMs, () => {
          // An answer that did not need the body is out: nothing more can be said.
          if (reply.sent) request.raw.socket.destroy()
          else reply.header('connection', 'close').send(tooSlow())
        })
      return done()
    })
  },
  { name: 'host-guard' },
)

function limitBody(req: IncomingMessage, bodyMs: number, onSlow: () => void): void {
  // A body that nobody reads, such as a GET's, does not end, although it has arrived.
  const timer = setTimeout(() => req.complete || onSlow(), bodyMs)
  timer.unref()
  req.once('close', () => clearTimeout(timer))
  req.once('end', () => clearTimeout(timer))
}

function tooSlow(): HiveError {
  return new HiveError('HIVE_REQUEST_TIMEOUT', 'The body did not arrive in time.')
}
