import type { IncomingMessage, Server, ServerOptions } from 'node:http'
import { isUpgrade } from '../proxy/handshake.ts'
import { answerClientError, answerExpectation } from './client-error.ts'
import type { HostConfig } from './host-names.ts'
import { rewriteHostMode, targetReader } from './request-target.ts'

/** Node's options for every listener. HTTP/1.1 only, strict parser. */
export const HTTP_OPTIONS = Object.freeze({
  maxHeaderSize: 16_384,
  headersTimeout: 10_000,
  // Node looks for late heads this often; by default every 30 s, so that one could take four times its limit.
  connectionsCheckingInterval: 1_000,
  // A whole-request limit would cut long uploads; bodies have their own idle and total limits.
  requestTimeout: 0,
  insecureHTTPParser: false,
  // A missing Host is refused by the raw guard, which answers with a problem document.
  requireHostHeader: false,
  noDelay: true,
  shouldUpgradeCallback: isUpgrade,
} satisfies ServerOptions)

const KEEP_ALIVE_MS = 72_000
const REQUESTS_PER_SOCKET = 1_000

export interface HiveServerOptions {
  readonly http: typeof HTTP_OPTIONS
  readonly keepAliveTimeout: number
  readonly requestTimeout: number
  readonly connectionTimeout: number
  readonly maxRequestsPerSocket: number
  readonly clientErrorHandler: typeof answerClientError
  readonly rewriteUrl: (req: IncomingMessage) => string
}

/** Fastify's options that concern its server: limits, the answer to unreadable requests, and host mode. */
export function serverOptions(config: HostConfig): HiveServerOptions {
  return {
    http: HTTP_OPTIONS,
    keepAliveTimeout: KEEP_ALIVE_MS,
    requestTimeout: 0,
    connectionTimeout: 0,
    maxRequestsPerSocket: REQUESTS_PER_SOCKET,
    clientErrorHandler: answerClientError,
    rewriteUrl: rewriteHostMode(targetReader(config)),
  }
}

/** What can only be set on a server that exists. Without it the fields beyond 2,000 would vanish unseen. */
export function hardenServer(server: Server): void {
  server.maxHeadersCount = 0
  server.on('checkExpectation', answerExpectation)
}

/** For a listener that Fastify does not make. */
export function configureServer(server: Server): void {
  hardenServer(server)
  server.keepAliveTimeout = KEEP_ALIVE_MS
  server.maxRequestsPerSocket = REQUESTS_PER_SOCKET
  server.on('clientError', answerClientError)
}
