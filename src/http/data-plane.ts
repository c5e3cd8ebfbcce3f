import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { markDataPlane } from './request-target.ts'
import { configureServer, HTTP_OPTIONS } from './server-options.ts'

/**
 * Makes the data plane's own listener (HIVE_PROXY_PORT), not listening yet: the same routing as the control plane's,
 * but its requests are marked, so that cocoons are served there and nothing else is.
 *
 * @param routing  Fastify's `app.routing`.
 */
export function createDataPlane(routing: (req: IncomingMessage, res: ServerResponse) => void): Server {
  const server = createServer(HTTP_OPTIONS, (req, res) => {
    markDataPlane(req)
    routing(req, res)
  })
  configureServer(server)
  return server
}
