import { AsyncLocalStorage } from 'node:async_hooks'
import { setTimeout as delay } from 'node:timers/promises'
import type { Context } from '@opentelemetry/api'
import { resourceFromAttributes } from '@opentelemetry/resources'
import { BatchSpanProcessor, TracerProvider } from '@opentelemetry/sdk-trace'
import type { Logger } from 'pino'
import type { Clock } from '../services/context.ts'
import type { TracingSettings } from '../settings.ts'
import { AttemptSpans } from './attempt-spans.ts'
import { beginControl } from './control-spans.ts'
import { OtlpExporter } from './exporter.ts'
import { grumbler } from './grumble.ts'
import { proxyTracer } from './proxy-spans.ts'
import { createSampler } from './sampler.ts'
import type { Tracing } from './tracing.ts'

export interface TracingParts {
  readonly settings: TracingSettings
  readonly version: string
  readonly instanceId: string
  readonly clock: Clock
  readonly log: Logger
}

/** When a collector that has not taken the last spans is given up, */
const FLUSH_MS = 1_500
/** and when nothing is waited for any more. */
const CLOSE_MS = 1_900
const QUEUE = 4_096

/** Puts the SDK together. Nothing of it is global: no other library in this process is traced by it. */
export function openTracing({ settings, version, instanceId, clock, log }: TracingParts): Tracing {
  const exporter = new OtlpExporter({ settings, say: grumbler(log) })
  const processor = new BatchSpanProcessor({
    exporter,
    scheduledDelayMillis: settings.delayMs,
    exportTimeoutMillis: settings.timeoutMs + 1_000,
    maxQueueSize: QUEUE,
  })
  const provider = new TracerProvider({
    sampler: createSampler(settings.sampler),
    resource: resourceFromAttributes({
      'service.version': version,
      'service.instance.id': instanceId,
      ...settings.resource,
      'service.name': settings.serviceName,
    }),
    spanProcessors: [processor],
  })
  const parts = { tracer: provider.getTracer('hive', version), cause: new AsyncLocalStorage<Context>() }
  const attempts = new AttemptSpans(parts, clock)
  return {
    proxy: proxyTracer(parts, (route, span) => attempts.firstByte(route.id, route.attempt, span.spanContext())),
    control: (request) => beginControl(parts, request),
    serviceChanged: (row, previous) => attempts.changed(row, previous),
    async close() {
      attempts.close()
      const cut = setTimeout(() => exporter.cut(), FLUSH_MS)
      const flushed = provider.shutdown().catch(() => undefined) // what could not be sent is lost, and was said
      await Promise.race([flushed, delay(CLOSE_MS, undefined, { ref: false })])
      clearTimeout(cut)
      await exporter.shutdown()
    },
  }
}
