import type { TrafficMeter } from '../proxy/traffic.ts'

/** Upper bounds in seconds of the time to the head of an answer. */
export const LATENCY_BUCKETS: readonly number[] = [
  0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30,
]
/** By the first digit of the status; `gone` = the client left before there was an answer. */
export const STATUS_LABELS = ['gone', '1xx', '2xx', '3xx', '4xx', '5xx'] as const

/** Plain counters that only the proxy adds to, and that are read when somebody scrapes. */
export class KindTraffic implements TrafficMeter {
  /** In the order of the labels. */
  readonly requests: Float64Array = new Float64Array(STATUS_LABELS.length)
  /** Not cumulative; the last one is for what is beyond all bounds. */
  readonly latencies: Float64Array = new Float64Array(LATENCY_BUCKETS.length + 1)
  seconds: number = 0
  bytesIn: number = 0
  bytesOut: number = 0
  tunnels: number = 0

  answered(status: number, ms: number): void {
    const at = Math.min(Math.floor(status / 100), STATUS_LABELS.length - 1)
    this.requests[at] = (this.requests[at] ?? 0) + 1
    const seconds = ms / 1_000
    let bucket = 0
    while (bucket < LATENCY_BUCKETS.length && seconds > (LATENCY_BUCKETS[bucket] ?? 0)) bucket++
    this.latencies[bucket] = (this.latencies[bucket] ?? 0) + 1
    this.seconds += seconds
  }

  received(bytes: number): void {
    this.bytesIn += bytes
  }

  sent(bytes: number): void {
    this.bytesOut += bytes
  }

  tunnelOpened(): void {
    this.tunnels += 1
  }

  tunnelClosed(): void {
    this.tunnels -= 1
  }
}
