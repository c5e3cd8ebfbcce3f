import { setTimeout as sleep } from 'node:timers/promises'
import { isEnded } from '../services/state/record.ts'
import { type Client, retryLost } from './client.ts'
import { CliFailure, EXIT } from './failure.ts'
import { type Service, servicePath } from './service.ts'
import { formatMs } from './time.ts'

/** What to wait for: `ready` (running and ready), `ended`, or `gone` (removed). */
export type Goal = 'ready' | 'ended' | 'gone'

export interface WaitOptions {
  readonly goal: Goal
  readonly timeoutMs: number
  /** Reaching the goal counts from this attempt on: an earlier one's end is not the new one's. */
  readonly fromAttempt?: number
  /** Called with every answer, changed or not. */
  readonly onService?: (service: Service) => void
}

/** Long polls end after a second, so that progress is seen; a server that answers at once is not asked in a tight loop. */
const POLL_S = 1
const PAUSE_MS = 100

/**
 * Follows one service until it is where it should be.
 *
 * @param service  The last known record; its id is followed, never a later cocoon of the same name.
 * @returns the record that reached the goal.
 * @throws CliFailure  `notStarted` (7) when the goal cannot be reached any more, or not in time.
 */
export async function waitFor(client: Client, service: Service, options: WaitOptions): Promise<Service> {
  const startedAt = performance.now()
  let current = service
  for (;;) {
    options.onService?.(current)
    if (isReached(current, options)) return current
    if (options.goal === 'ready' && isHopeless(current, options)) throw didNotStart(current)
    const leftMs = options.timeoutMs - (performance.now() - startedAt)
    if (leftMs <= 0) throw outOfTime(current, options)
    const askedAt = performance.now()
    current = await ask(client, current, options.goal)
    const restMs = Math.min(PAUSE_MS - (performance.now() - askedAt), leftMs)
    if (!isReached(current, options) && restMs > 0) await sleep(restMs)
  }
}

const WAIT_WORD = { ready: 'ready', ended: 'stopped', gone: 'gone' } as const

async function ask(client: Client, service: Service, goal: Goal): Promise<Service> {
  const query = { id: service.id, wait: WAIT_WORD[goal], timeout_s: POLL_S }
  try {
    return (await retryLost(() => client.send('GET', servicePath(service.name), { query }))) as Service
  } catch (error) {
    const status = error instanceof CliFailure ? error.problem.status : undefined
    // 410 carries the final record; 404 means that even the tombstone is gone, or that the name is another's now.
    if (status === 410) return ((error as CliFailure).problem['service'] as Service | undefined) ?? removed(service)
    if (status === 404) return removed(service)
    throw error
  }
}

function removed(service: Service): Service {
  return { ...service, state: 'removed', desired: 'removed', pid: null }
}

function isReached(service: Service, { goal, fromAttempt = 0 }: WaitOptions): boolean {
  if (goal === 'gone') return service.state === 'removed'
  if (goal === 'ended') return isEnded(service.state) || service.state === 'removed'
  if (service.attempt < fromAttempt) return false
  // A cocoon that was ready and has done its work since did start.
  return service.state === 'running' ? service.ready : service.state === 'stopped' && service.ready_at !== null
}

function isHopeless(service: Service, { fromAttempt = 0 }: WaitOptions): boolean {
  if (service.state === 'removed') return true
  if (service.attempt < fromAttempt) return service.desired !== 'running'
  return isEnded(service.state) && service.next_attempt_at === null
}

function didNotStart(service: Service): CliFailure {
  const why = service.error === null ? exitText(service) : `${service.error.detail} (${service.error.code})`
  return new CliFailure(
    EXIT.notStarted,
    {
      code: 'CLI_NOT_STARTED',
      title: 'The cocoon did not start',
      detail: `${service.fqn} is ${service.state}: ${why}`,
      service,
    },
    `\`hive show ${service.name}\` shows all of it, \`hive kill ${service.name}\` removes it.`,
  )
}

function exitText(service: Service): string {
  if (service.exit === null) return 'no reason was recorded'
  return `it ended with code ${service.exit.code} (${service.exit.signal ?? service.exit.reason})`
}

function outOfTime(service: Service, { goal, timeoutMs }: WaitOptions): CliFailure {
  const aim = { ready: 'ready', ended: 'stopped', gone: 'removed' }[goal]
  return new CliFailure(
    EXIT.notStarted,
    {
      code: 'CLI_TIMEOUT',
      title: `The cocoon was not ${aim} in time`,
      detail: `${service.fqn} is still ${service.state} after ${formatMs(timeoutMs)}; Hive goes on with it.`,
      service,
    },
    `\`hive show ${service.name}\` shows how far it is; --timeout waits longer.`,
  )
}
