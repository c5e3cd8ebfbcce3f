import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'
import type { Traffic } from '../proxy/traffic.ts'
import type { RunnerState } from '../runners/runner-set.ts'
import { SERVICE_STATES, type ServiceRow, type ServiceState } from '../services/state/record.ts'
import { SIGNALING_STATES, type SignalingState } from '../signaling/status.ts'
import { type KindLabels, kindLabels } from './kind-labels.ts'
import { trafficMetrics } from './traffic-metrics.ts'

/**
 * Everything Hive counts, as Prometheus reads it (exposition format 0.0.4). Labels come from closed sets: states,
 * reasons, runners and the operator's own kinds; never names, ids or paths, of which there is no end.
 */
export interface Metrics {
  /** A durable change of a service. */
  serviceChanged(row: ServiceRow, previous: ServiceRow | null): void
  /** One driver call that took so long. */
  runnerCall(runner: string, call: string, seconds: number, ok: boolean): void
  /** What the proxy tells. */
  readonly traffic: Traffic
  render(): Promise<string>
  readonly contentType: string
  close(): void
}

export interface MetricsSources {
  /** Ids of the kinds there are. */
  readonly kinds: Iterable<string>
  readonly services: () => Iterable<ServiceRow>
  readonly runners: () => Iterable<RunnerState>
  readonly signaling: () => SignalingState
}

/** Upper bounds in seconds: a script is ready in a tenth, a container in one, a pull takes minutes. */
const PHASE_BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300]
const CALL_BUCKETS = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]
const PHASES = ['queued', 'pull', 'create', 'start', 'ready'] as const

export function createMetrics(sources: MetricsSources): Metrics {
  const registry = new Registry()
  collectDefaultMetrics({ register: registry, prefix: 'hive_' })
  // Gauges that are named like counters: promtool refuses them, and nobody needs them.
  for (const what of ['handles', 'requests', 'resources'])
    registry.removeSingleMetric(`hive_nodejs_active_${what}_total`)
  const labelOf = kindLabels(sources.kinds)
  gauges(registry, sources, labelOf)
  signalingGauge(registry, sources)
  const lifecycle = lifecycleMetrics(registry, labelOf)
  const calls = new Histogram({
    name: 'hive_runner_call_seconds',
    help: 'Time that one call to a runner took.',
    labelNames: ['runner', 'call', 'outcome'],
    buckets: CALL_BUCKETS,
    registers: [registry],
  })
  return {
    serviceChanged: lifecycle,
    runnerCall: (runner, call, seconds, ok) => calls.observe({ runner, call, outcome: ok ? 'ok' : 'error' }, seconds),
    traffic: trafficMetrics(registry, labelOf),
    render: () => registry.metrics(),
    contentType: registry.contentType,
    close: () => registry.clear(),
  }
}

/** Read off the service view whenever somebody asks, so they cannot drift from it. */
function gauges(registry: Registry, sources: MetricsSources, labelOf: KindLabels): void {
  new Gauge({
    name: 'hive_services',
    help: 'Services by kind and state, removed ones left out.',
    labelNames: ['kind', 'state'],
    registers: [registry],
    collect() {
      this.reset()
      for (const { record } of sources.services())
        if (record.state !== 'removed') this.inc({ kind: labelOf(record.kind), state: record.state })
    },
  })
  new Gauge({
    name: 'hive_services_active',
    help: 'Services that count against HIVE_MAX_COCOONS.',
    registers: [registry],
    collect() {
      let active = 0
      for (const { record } of sources.services()) if (SERVICE_STATES.indexOf(record.state) <= STOPPING) active++
      this.set(active)
    },
  })
  new Gauge({
    name: 'hive_runner_available',
    help: '1 if the runner answered its last probe.',
    labelNames: ['runner'],
    registers: [registry],
    collect() {
      for (const { runner, available } of sources.runners()) this.set({ runner }, available ? 1 : 0)
    },
  })
}

function signalingGauge(registry: Registry, sources: MetricsSources): void {
  new Gauge({
    name: 'hive_signaling_state',
    help: '1 for the state that the link to the signaling server is in.',
    labelNames: ['state'],
    registers: [registry],
    collect() {
      const current = sources.signaling()
      for (const state of SIGNALING_STATES) this.set({ state }, state === current ? 1 : 0)
    },
  })
}

const STOPPING = SERVICE_STATES.indexOf('stopping')

function lifecycleMetrics(registry: Registry, labelOf: KindLabels): Metrics['serviceChanged'] {
  const counter = (name: string, help: string, ...labelNames: string[]) =>
    new Counter({ name, help, labelNames, registers: [registry] })
  const spawns = counter('hive_spawns_total', 'Services created.', 'kind')
  const attempts = counter('hive_attempts_total', 'Launches, restarts included.', 'kind', 'by')
  const restarts = counter(
    'hive_restarts_total',
    'Automatic restarts by the reason of the end before.',
    'kind',
    'reason',
  )
  const ends = counter('hive_ends_total', 'Ends of attempts by state and reason.', 'kind', 'state', 'reason')
  const phases = new Histogram({
    name: 'hive_spawn_phase_seconds',
    help: 'Time that each phase of a launch took.',
    labelNames: ['kind', 'phase'],
    buckets: PHASE_BUCKETS,
    registers: [registry],
  })
  return (row, previous) => {
    const { state, attempt } = row.record
    const kind = labelOf(row.record.kind)
    if (previous === null && attempt === 1 && state === 'requested') spawns.inc({ kind })
    if (state === previous?.record.state && attempt === previous.record.attempt) return
    if (state === 'requested') attempts.inc({ kind, by: row.intent.by })
    if (isRestart(row)) restarts.inc({ kind, reason: reasonOf(previous) })
    if (state === 'running') observePhases(phases, kind, row)
    if (ENDS.includes(state)) ends.inc({ kind, state, reason: reasonOf(row) })
  }
}

const ENDS: readonly ServiceState[] = ['stopped', 'rejected', 'failed', 'lost']

function reasonOf(row: ServiceRow | null): string {
  return row?.record.exit?.reason ?? 'none'
}

function isRestart({ record, intent }: ServiceRow): boolean {
  return record.state === 'requested' && record.attempt > 1 && intent.by === 'restart'
}

function observePhases(phases: Histogram, kind: string, { record }: ServiceRow): void {
  for (const phase of PHASES) {
    const ms = record.timings[`${phase}_ms`]
    if (ms !== null) phases.observe({ kind, phase }, ms / 1000)
  }
}
