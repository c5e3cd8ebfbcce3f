import type { Endpoint, ExitStatus, RunnerHandle } from '../../runners/driver.ts'
import type { Health, PortLease, ServiceError, ServiceUse } from './record.ts'

/** What can be seen of one attempt. Reported by actions to `supervisor.observe`; what follows from it is decided in one place. */
export type Fact =
  | { readonly type: 'preparing' }
  | {
      readonly type: 'starting'
      readonly leases: readonly PortLease[]
      readonly gated: boolean
      readonly pullMs: number | null
      readonly queuedMs: number
    }
  /** A chosen port was lost to somebody else before the cocoon had it. */
  | { readonly type: 'ports'; readonly leases: readonly PortLease[] }
  | {
      readonly type: 'launched'
      readonly handle: RunnerHandle
      readonly endpoint: Endpoint | null
      readonly pid: number | null
      readonly containerId: string | null
      readonly startedAt: string
      readonly createMs: number | null
      readonly startMs: number
      /** The ports it has, if it was found with others than the row says. */
      readonly leases?: readonly PortLease[]
      readonly boot: string | null
    }
  /** Where it has what it uses from, from now on. */
  | { readonly type: 'uses'; readonly uses: readonly ServiceUse[] }
  | { readonly type: 'ready' }
  /** What its checks say of it. */
  | { readonly type: 'health'; readonly health: Health }
  /**
   * `uncharged`: the runner was away meanwhile, so this end costs no restart budget. `rebooted`: so was the whole host,
   * which ended everything.
   */
  | {
      readonly type: 'exited'
      readonly exit: ExitStatus
      readonly endedAt: string | null
      readonly uncharged?: boolean
      readonly rebooted?: boolean
    }
  /** Stopped by Hive because its checks kept failing. */
  | { readonly type: 'unhealthy'; readonly exit: ExitStatus | null; readonly detail: string }
  | { readonly type: 'not_ready'; readonly exit: ExitStatus | null; readonly detail: string }
  | { readonly type: 'gone'; readonly uncharged?: boolean; readonly rebooted?: boolean }
  | { readonly type: 'refused'; readonly error: ServiceError; readonly unavailable: boolean }
  /** Somebody asked that it be not stopped as idle before this time (ISO 8601). */
  | { readonly type: 'leased'; readonly until: string }
  | { readonly type: 'stopping' }
  /** `error`: something seems to have got away from the stop. */
  | { readonly type: 'stopped'; readonly exit: ExitStatus | null; readonly error?: ServiceError | null }
  | { readonly type: 'next_attempt' }
  | { readonly type: 'removed' }
  /** The runner does not answer: no state change, only said. null = it answers again. */
  | { readonly type: 'trouble'; readonly error: ServiceError | null }
  | {
      readonly type: 'observed'
      readonly pid: number | null
      readonly endpoint: Endpoint | null
      readonly boot: string | null
    }
