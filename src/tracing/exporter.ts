import { setTimeout as delay } from 'node:timers/promises'
import { promisify } from 'node:util'
import { gzip } from 'node:zlib'
import { type ExportResult, ExportResultCode } from '@opentelemetry/core'
import { ProtobufTraceSerializer } from '@opentelemetry/otlp-transformer'
import type { ReadableSpan, SpanExporter } from '@opentelemetry/sdk-trace'
import { Agent, request } from 'undici'
import type { TracingSettings } from '../settings.ts'

const pack = promisify(gzip)

export interface ExporterParts {
  readonly settings: Pick<TracingSettings, 'endpoint' | 'headers' | 'timeoutMs' | 'gzip'>
  /** Told of each export: why it failed, in a word without addresses or keys, or null. */
  readonly say: (failure: string | null) => void
}

/** Statuses after which OTLP says to try again (OTLP specification, "Failures"). */
const RETRYABLE = [429, 502, 503, 504]
const FIRST_RETRY_MS = 500
const MOST_RETRY_MS = 5_000
const CONNECTIONS = 2

/**
 * Posts spans to an OTLP collector. Unlike the SDK's own, every wait of it ends with {@link OtlpExporter.cut}: a
 * collector that hangs cannot hold a process that wants to end.
 */
export class OtlpExporter implements SpanExporter {
  readonly #parts: ExporterParts
  readonly #cut = new AbortController()
  readonly #agent = new Agent({ connections: CONNECTIONS, connect: { timeout: 5_000 } })
  readonly #headers: Readonly<Record<string, string>>

  constructor(parts: ExporterParts) {
    this.#parts = parts
    const { headers, gzip: packed } = parts.settings
    this.#headers = {
      ...(headers && (JSON.parse(headers.reveal()) as Record<string, string>)),
      'content-type': 'application/x-protobuf',
      ...(packed && { 'content-encoding': 'gzip' }),
    }
  }

  export(spans: ReadableSpan[], done: (result: ExportResult) => void): void {
    this.#send(spans).then(
      () => {
        this.#parts.say(null)
        done({ code: ExportResultCode.SUCCESS })
      },
      (error: unknown) => {
        if (!this.#cut.signal.aborted) this.#parts.say(reasonOf(error))
        done({ code: ExportResultCode.FAILED })
      },
    )
  }

  /** Breaks off what is under way. */
  cut(): void {
    this.#cut.abort(new Error('Hive is shutting down'))
  }

  async shutdown(): Promise<void> {
    this.cut()
    await this.#agent.destroy()
  }

  async #send(spans: ReadableSpan[]): Promise<void> {
    const encoded = ProtobufTraceSerializer.serializeRequest(spans)
    if (encoded === undefined) throw new Refused('the spans could not be encoded')
    const body = this.#parts.settings.gzip ? await pack(encoded) : encoded
    const signal = AbortSignal.any([this.#cut.signal, AbortSignal.timeout(this.#parts.settings.timeoutMs)])
    for (let waitMs = FIRST_RETRY_MS; ; waitMs = Math.min(waitMs * 2, MOST_RETRY_MS)) {
      try {
        return await this.#post(body, signal)
      } catch (error) {
        if (error instanceof Refused || signal.aborted) throw error
        // What made the last try fail says more than that the time is up.
        await delay(waitMs * (0.5 + Math.random()), undefined, { signal }).catch(() => {
          throw error
        })
      }
    }
  }

  async #post(body: Uint8Array, signal: AbortSignal): Promise<void> {
    const { endpoint } = this.#parts.settings
    const options = { method: 'POST', headers: this.#headers, body, signal, dispatcher: this.#agent } as const
    const answer = await request(endpoint, options)
    await answer.body.dump({ limit: 65_536, signal })
    if (answer.statusCode < 300) return
    const reason = `it answered ${answer.statusCode}`
    throw RETRYABLE.includes(answer.statusCode) ? new Error(reason) : new Refused(reason)
  }
}

/** Trying again would change nothing. */
class Refused extends Error {
  override readonly name = 'Refused'
}

/** Messages of the network name addresses; codes do not. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown'
  if (error.name === 'TimeoutError') return 'it did not answer in time'
  const { code } = error as { readonly code?: unknown }
  return typeof code === 'string' ? code : error.message
}
