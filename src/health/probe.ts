import { Agent, request } from 'undici'
import type { HealthCheck } from '../kinds/kind.ts'
import { RunnerUnreachable } from '../runners/driver.ts'
import type { CheckTarget } from './checker.ts'

export interface ProbeResult {
  readonly ok: boolean
  /** A sentence for people; never a body, which may hold anything. */
  readonly detail: string
  /** The runner did not get to it: this says nothing about the cocoon. */
  readonly isOfRunner?: true
}

const MAX_BODY_BYTES = 4_096
/** What a body gets to come to its end before it is cut. */
const BODY_MS = 100

/** Each probe has its own connection: what it measures is whether a newcomer is served. */
const dispatcher = new Agent({ pipelining: 0, maxHeaderSize: 16_384 })

/** Runs one check once, within its timeout. Never throws: whatever goes wrong is the answer. */
export async function runProbe(check: HealthCheck, target: CheckTarget, signal: AbortSignal): Promise<ProbeResult> {
  const limited = AbortSignal.any([signal, AbortSignal.timeout(check.timeoutMs)])
  try {
    if (check.type === 'http') return await probeHttp(check, target, limited)
    if (check.type === 'tcp') return await probeTcp(check, target, limited)
    return await probeCommand(check, target, limited)
  } catch (error) {
    if (error instanceof RunnerUnreachable) return { ok: false, detail: error.message, isOfRunner: true }
    if (limited.aborted && !signal.aborted) return { ok: false, detail: `no answer within ${check.timeoutMs} ms` }
    return { ok: false, detail: reasonOf(error) }
  }
}

/** 2xx is healthy. Redirects are answers, not ways; nothing of a body is kept. */
async function probeHttp(check: HealthCheck, target: CheckTarget, signal: AbortSignal): Promise<ProbeResult> {
  const address = target.addressOf(check.port)
  if (address === null) return { ok: false, detail: noPort(check) }
  const host = address.host.includes(':') ? `[${address.host}]` : address.host
  const { statusCode, body } = await request(`http://${host}:${address.port}${check.path}`, {
    dispatcher,
    signal,
    headers: { 'user-agent': 'hive-health', accept: '*/*', connection: 'close' },
  })
  // `dump` reads on up to the limit and then cuts the connection. A body that drips is cut soon, and before the next
  // probe begins: they would pile up.
  body.on('error', () => undefined)
  await body
    .dump({ limit: MAX_BODY_BYTES, signal: AbortSignal.any([signal, AbortSignal.timeout(BODY_MS)]) })
    .catch(() => undefined)
  const ok = statusCode >= 200 && statusCode < 300
  return {
    ok,
    detail: `${check.path} answered ${statusCode}${statusCode >= 300 && statusCode < 400 ? ', which is not followed' : ''}`,
  }
}

/** An accepted connection proves nothing where a publishing proxy accepts: the cocoon's own listener must be there. */
async function probeTcp(check: HealthCheck, target: CheckTarget, signal: AbortSignal): Promise<ProbeResult> {
  if (target.addressOf(check.port) === null) return { ok: false, detail: noPort(check) }
  const ok = await target.listens(check.port, signal)
  return { ok, detail: ok ? 'the port accepts' : 'nothing listens on the port' }
}

async function probeCommand(check: HealthCheck, target: CheckTarget, signal: AbortSignal): Promise<ProbeResult> {
  if (target.exec === null) return { ok: false, detail: 'this runner cannot run commands in a cocoon' }
  const { code } = await target.exec(check.command, signal)
  return { ok: code === 0, detail: `the command ended with ${code}` }
}

function noPort(check: HealthCheck): string {
  return check.port === null ? 'it has no port to ask' : `it has no port ${check.port}: declare it under ports`
}

function reasonOf(error: unknown): string {
  const code = (error as { code?: unknown }).code
  return typeof code === 'string' ? code : error instanceof Error ? error.message : 'it broke off'
}
