import { randomUUID } from 'node:crypto'
import type { TestContext } from 'node:test'
import type { KindSpec, RunnerType } from '../../src/kinds/kind.ts'
import { createLogger } from '../../src/logging.ts'
import type { RunnerDriver } from '../../src/runners/driver.ts'
import { PortPool } from '../../src/services/actions/ports.ts'
import { StartSlots } from '../../src/services/actions/start-slots.ts'
import type { PlaceholderValues } from '../../src/services/context.ts'
import { reconcile } from '../../src/services/duties/reconcile.ts'
import type { SpawnRequest } from '../../src/services/spawn.ts'
import type { ServiceRow, ServiceState } from '../../src/services/state/record.ts'
import type { IntentRequest } from '../../src/services/state/step.ts'
import { Supervisor } from '../../src/services/supervisor.ts'
import { openServiceTable, type ServiceTable } from '../../src/services/table/table.ts'
import { ServiceView } from '../../src/services/view.ts'
import type { NumberRange } from '../../src/settings.ts'
import { within } from './deadline.ts'
import { FakeRunner } from './fake-driver.ts'
import { scriptKind, vault } from './service-row.ts'
import { tempDirectory } from './temp-directory.ts'

/** A clock that runs with the real one, can be set, and made to have run for longer. */
export class TestClock {
  /** Changes the time of day alone. */
  aheadMs = 0
  #passedMs = 0

  pass(ms: number): void {
    this.aheadMs += ms
    this.#passedMs += ms
  }

  ticks(): number {
    return performance.now() + this.#passedMs
  }

  now(): Date {
    return new Date(Date.now() + this.aheadMs)
  }
}

export interface SupervisorSetup {
  /** Default: a fake runner of scripts. */
  readonly runner?: FakeRunner
  /** Drivers instead of the runner's own, or beside it. */
  readonly drivers?: readonly RunnerDriver[]
  readonly table?: ServiceTable
  /** Of a real table; default: a temporary one. */
  readonly directory?: string
  readonly kinds?: readonly KindSpec[]
  readonly clock?: TestClock
  readonly maxCocoons?: number
  readonly maxStarts?: number
  readonly portRange?: NumberRange
  readonly keepEndedMs?: number
  readonly log?: (line: string) => void
  /** True for a process that is going to die: it is not closed after the test. */
  readonly mortal?: boolean
}

export interface SupervisorBench {
  readonly supervisor: Supervisor
  readonly view: ServiceView
  readonly table: ServiceTable
  readonly runner: FakeRunner
  readonly clock: TestClock
  readonly directory: string | null
  /** Spawns the first kind unless told otherwise. */
  spawn(request?: Partial<SpawnRequest>): Promise<ServiceRow>
  intend(row: ServiceRow, request: Omit<IntentRequest, 'by'>): Promise<ServiceRow>
  /** The first published row that satisfies. @throws after 5 s, saying what the row is instead. */
  when(row: ServiceRow, satisfied: (row: ServiceRow) => boolean): Promise<ServiceRow>
  /** As `when`, for a state of the newest attempt. */
  in(row: ServiceRow, state: ServiceState): Promise<ServiceRow>
  now(row: ServiceRow): ServiceRow
  reconcile(): Promise<void>
  /** Ends the supervisor and its table; what it kept is opened by another `openSupervisor`. */
  close(): Promise<void>
}

/** A supervisor on a real table and a fake runner. Kinds' own rules are replaced by trivial ones. */
export async function openSupervisor(t: TestContext, setup: SupervisorSetup = {}): Promise<SupervisorBench> {
  const { runner = new FakeRunner(), clock = new TestClock(), kinds = [scriptKind('native')] } = setup
  const directory = setup.table ? null : (setup.directory ?? (await tempDirectory(t)))
  const table = setup.table ?? (await openServiceTable(directory ?? ''))
  const drivers = new Map<RunnerType, RunnerDriver>()
  for (const driver of setup.drivers ?? [runner.driver()]) drivers.set(driver.type, driver)
  const view = new ServiceView()
  const log = setup.log
    ? createLogger({ logLevel: 'trace' }, { write: setup.log })
    : createLogger({ logLevel: 'silent' })
  const supervisor = new Supervisor({
    table,
    view,
    vault,
    ports: new PortPool(setup.portRange ?? QUIET_PORTS, () => clock.now().getTime()),
    slots: new StartSlots(setup.maxStarts ?? 8),
    drivers,
    clock,
    log,
    signalingUrl: null,
    bootId: 'boot-1',
    fillPlaceholders: fillArguments,
    usesPort: () => false,
    drainLog: async () => {},
    lastStats: () => null,
    kinds: new Map(kinds.map((kind) => [kind.id, kind])),
    rules: { acceptsEnvironment: () => true, checkRequestId: () => null },
    whyDown: (kind) => {
      const { available = false, reason = null } = drivers.get(kind.runner_type)?.describe(kind.config) ?? {}
      return available ? null : (reason ?? 'no such runner')
    },
    newId: randomUUID,
    maxCocoons: setup.maxCocoons ?? 500,
  })
  let closing: Promise<void> | null = null
  const close = () => {
    closing ??= supervisor.close().then(() => table.close())
    return within(closing, 10_000, 'close')
  }
  if (setup.mortal !== true) t.after(close)
  await supervisor.load()
  const now = (row: ServiceRow) => view.byId(row.record.id) ?? row
  const when: SupervisorBench['when'] = async (row, satisfied) => {
    const found = await view.until(row.record.id, satisfied, AbortSignal.timeout(20_000))
    if (found) return found
    throw new Error(`it never came: ${JSON.stringify(now(row).record)}; calls: ${runner.calls.slice(-20).join(', ')}`)
  }
  const parts = { view, supervisor, clock, log, keepEndedMs: setup.keepEndedMs ?? null }
  return {
    supervisor,
    view,
    table,
    runner,
    clock,
    directory,
    spawn: async (request = {}) => (await supervisor.spawn({ kind: kinds[0]?.id ?? '', ...request })).row,
    intend: (row, request) => supervisor.intend(row.record.id, { by: 'api', ...request }),
    when,
    in: (row, state) =>
      when(row, ({ record, targetAttempt }) => record.state === state && record.attempt === targetAttempt),
    now,
    reconcile: () => reconcile({ ...parts, drivers: drivers.values() }, AbortSignal.timeout(10_000)),
    close,
  }
}

/** Above the ephemeral ports of Linux and macOS, and not Hive's own: other programs on the machine rarely sit here. */
const QUIET_PORTS: NumberRange = { first: 61_001, last: 64_999 }

function fillArguments<Config extends { readonly args: readonly string[] | null }>(
  config: Config,
  values: PlaceholderValues,
): Config {
  return { ...config, args: config.args?.map((text) => text.replaceAll('{port}', String(values.port))) ?? null }
}
