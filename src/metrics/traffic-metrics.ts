import { Counter, Gauge, type Metric, type Registry } from 'prom-client'
import type { Traffic } from '../proxy/traffic.ts'
import type { KindLabels } from './kind-labels.ts'
import { KindTraffic, LATENCY_BUCKETS, STATUS_LABELS } from './kind-traffic.ts'

/** The label of requests that reached no cocoon. */
const NO_KIND = 'none'

type Meters = ReadonlyMap<string, KindTraffic>

/**
 * What passes through the proxy, by kind. The proxy adds to plain numbers, a set per kind; labels are put together only
 * when somebody scrapes.
 */
export function trafficMetrics(registry: Registry, labelOf: KindLabels): Traffic {
  /** By label. */
  const meters = new Map<string, KindTraffic>([[NO_KIND, new KindTraffic()]])
  const byKind = new Map<string | null, KindTraffic>()
  register(registry, meters)
  return {
    of(kind) {
      const known = byKind.get(kind)
      if (known !== undefined) return known
      const label = kind === null ? NO_KIND : labelOf(kind)
      const meter = meters.get(label) ?? new KindTraffic()
      meters.set(label, meter)
      byKind.set(kind, meter)
      return meter
    },
  }
}

function register(registry: Registry, meters: Meters): void {
  new Counter({
    name: 'hive_proxy_requests_total',
    help: 'Requests by the class of their answer; kind none: they reached no cocoon, status gone: their client left.',
    labelNames: ['kind', 'status'],
    registers: [registry],
    collect() {
      this.reset()
      for (const [kind, { requests }] of meters)
        for (const [at, status] of STATUS_LABELS.entries()) this.inc({ kind, status }, requests[at] ?? 0)
    },
  })
  new Counter({
    name: 'hive_proxy_bytes_total',
    help: 'Bytes of bodies and tunnels, in to cocoons and out of them.',
    labelNames: ['kind', 'direction'],
    registers: [registry],
    collect() {
      this.reset()
      for (const [kind, { bytesIn, bytesOut }] of meters) {
        this.inc({ kind, direction: 'in' }, bytesIn)
        this.inc({ kind, direction: 'out' }, bytesOut)
      }
    },
  })
  new Gauge({
    name: 'hive_proxy_tunnels',
    help: 'Open tunnels, such as WebSockets.',
    labelNames: ['kind'],
    registers: [registry],
    collect() {
      this.reset()
      for (const [kind, { tunnels }] of meters) this.set({ kind }, tunnels)
    },
  })
  registry.registerMetric(latencies(meters))
}

/** prom-client's own histogram makes objects for every observation; a registry asks no more of a metric than this. */
function latencies(meters: Meters): Metric {
  const name = 'hive_proxy_request_seconds'
  const told = { name, help: 'From the arrival of a request to the head of its answer.', type: 'histogram' }
  const get = async () => ({
    ...told,
    aggregator: 'sum',
    values: [...meters].flatMap(([kind, meter]) => rows(kind, meter)),
  })
  const reset = (): void => undefined
  return { ...told, get, reset } as unknown as Metric

  function rows(kind: string, { latencies: counts, seconds }: KindTraffic) {
    let count = 0
    const buckets = [...LATENCY_BUCKETS, '+Inf'].map((le, at) => {
      count += counts[at] ?? 0
      return { metricName: `${name}_bucket`, labels: { le, kind }, value: count }
    })
    const sum = { metricName: `${name}_sum`, labels: { kind }, value: seconds }
    return [...buckets, sum, { metricName: `${name}_count`, labels: { kind }, value: count }]
  }
}
