import type { IncomingMessage, ServerResponse } from 'node:http'
import type { HiveError } from '../errors.ts'
import { problemDocument } from '../problem.ts'
import { PAGE_POLICY, problemPage } from './problem-page.ts'

/**
 * Answers a data-plane request itself: a page for a browser that navigates, a problem document for everybody else.
 *
 * @param instance  The request id, by which the log line is found.
 */
export function answerProblem(req: IncomingMessage, res: ServerResponse, error: HiveError, instance: string): void {
  const page = wantsPage(req)
  const body = Buffer.from(page ? problemPage(error) : JSON.stringify(problemDocument(error, instance)))
  const headers = [
    'Content-Type',
    page ? 'text/html; charset=utf-8' : 'application/problem+json',
    'Content-Length',
    String(body.length),
    'Cache-Control',
    'no-store',
    'X-Content-Type-Options',
    'nosniff',
  ]
  if (page) headers.push('Content-Security-Policy', PAGE_POLICY)
  if (error.retryAfterS !== undefined) headers.push('Retry-After', String(Math.ceil(error.retryAfterS)))
  if (error.status === 401) headers.push('WWW-Authenticate', 'Hive-Token realm="hive"')
  // 408: the rest of the request will not come, so the connection cannot be used again (RFC 9110 §15.5.9).
  if (error.status === 408) headers.push('Connection', 'close')
  res.writeHead(error.status, headers)
  res.end(body)
}

/** The bare name is not a directory: relative links need the slash (RFC 9110 §15.4.9 keeps method and body). */
export function answerRedirect(res: ServerResponse, location: string): void {
  res.writeHead(308, ['Location', location, 'Content-Length', '0'])
  res.end()
}

/** True for a browser that navigates: it gets pages instead of problem documents. */
export function wantsPage(req: IncomingMessage): boolean {
  if (req.method !== 'GET' && req.method !== 'HEAD') return false
  const mode = req.headers['sec-fetch-mode']
  if (mode !== undefined && mode !== 'navigate') return false
  return req.headers.accept?.includes('text/html') === true
}

/**
 * Reads the rest of an upload into nothing for a while after an early answer, then cuts it. Closing at once would
 * reset the connection and could destroy the answer before the client has read it (RFC 9112 §9.6).
 */
export function drainRest(req: IncomingMessage, lingerMs: number): void {
  if (req.complete || req.destroyed) return
  const timer = setTimeout(() => req.socket.destroy(), lingerMs)
  timer.unref()
  req.once('close', () => clearTimeout(timer))
  req.once('end', () => clearTimeout(timer))
  req.resume()
}
