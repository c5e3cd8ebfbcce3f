import { join } from 'node:path'

/** Config of a script kind that answers what it was asked, header fields included. */
export const ECHO = {
  command: process.execPath,
  args: [join(import.meta.dirname, 'fixtures', 'echo-worker.mjs')],
  port: 8080,
  stop_grace: 0,
}

/** Settings for traces that come soon. */
export function tracingTo(collector: { readonly url: string }): Record<string, string> {
  return { OTEL_EXPORTER_OTLP_ENDPOINT: collector.url, OTEL_BSP_SCHEDULE_DELAY: '20' }
}
