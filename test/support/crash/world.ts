import { type ChildProcess, spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { createScriptDriver } from '../../../src/runners/script/driver.ts'
import { RecordingClient } from './client.ts'
import { removeContainersOf } from './engine-objects.ts'
import { type HiveCommand, type HiveEnd, type HiveProcess, signalStart, startHiveProcess } from './hive-process.ts'
import { assertInvariants } from './invariants.ts'
import { type Ledger, newLedger } from './ledger.ts'
import { killProcessesOf } from './live-processes.ts'

const WORKER = new URL('../fixtures/crash-worker.mjs', import.meta.url).pathname
const IMAGE = process.env['HIVE_TEST_IMAGE_HTTPD'] ?? 'localhost/hive-test/httpd:1'

export interface WorldOptions {
  /** Engine sockets to use beside scripts, by runner. */
  readonly engines?: Readonly<Record<string, string>>
  readonly env?: Readonly<Record<string, string>>
  /** Further kinds. */
  readonly kinds?: readonly unknown[]
  /** Where the state directory is made. */
  readonly parent?: string
}

/** One state directory through the lives of several Hives, and everything a client was told by them. */
export interface World {
  readonly directory: string
  readonly run: string
  readonly ledger: Ledger
  /** What its Hives are told. */
  readonly env: Readonly<Record<string, string>>
  /** Starts the next Hive. One at a time, unless the test is about that. */
  start(command?: Partial<HiveCommand>): Promise<HiveProcess>
  /** Starts one, signals it so many milliseconds later whatever it does by then, and waits for its end. */
  startAndSignal(signal: NodeJS.Signals, afterMs: number): Promise<HiveEnd>
  client(hive: HiveProcess): RecordingClient
  instance(): Promise<string>
  check(hive: HiveProcess): ReturnType<typeof assertInvariants>
  /** What this world's last two Hives have written: what came before was looked at then. */
  logs(): string
  /** @param keep  leaves the state directory for a look. */
  close(keep?: boolean): Promise<void>
}

export async function openWorld(options: WorldOptions = {}): Promise<World> {
  const directory = join(await mkdtemp(join(options.parent ?? tmpdir(), 'hive-crash-')), 'state')
  const run = randomUUID()
  const ledger = newLedger()
  const hives: HiveProcess[] = []
  const bystander = startBystander()
  const engines = options.engines ?? {}
  const env = environment(directory, run, options)
  const logs = () =>
    hives
      .slice(-2)
      .map((hive) => hive.output())
      .join('\n')
  const instance = () => readFile(join(directory, 'instance_id'), 'utf8').then((text) => text.trim())
  return {
    directory,
    run,
    ledger,
    env: { PATH: process.env['PATH'] ?? '', ...env },
    logs,
    instance,
    async start(command = {}) {
      const hive = await startHiveProcess({ ...command, env: { ...env, ...command.env } })
      hives.push(hive)
      return hive
    },
    startAndSignal: (signal, afterMs) => signalStart({ env }, signal, afterMs),
    client: (hive) => new RecordingClient(hive, ledger),
    async check(hive) {
      const bystanders = [() => bystander.exitCode === null && bystander.signalCode === null]
      return assertInvariants({ hive, ledger, run, engines, logs, bystanders, instance: await instance() })
    },
    async close(keep = false) {
      for (const hive of hives) await hive.end('SIGKILL').catch(() => undefined) // it may have ended long ago
      bystander.kill('SIGKILL')
      const own = await instance().catch(() => null)
      if (own !== null) for (const host of Object.values(engines)) await removeContainersOf(host, own)
      killProcessesOf(run)
      if (own !== null) await removeScripts(directory, own)
      if (!keep) await rm(join(directory, '..'), { recursive: true, force: true, maxRetries: 5 })
    },
  }
}

/** Run directories and cgroup leaves, with what still lives in them. */
async function removeScripts(stateDir: string, instanceId: string): Promise<void> {
  const hostEnvironment = { PATH: process.env['PATH'] ?? null, HOME: null, LANG: null, TZ: null, TMPDIR: null }
  const driver = createScriptDriver({ stateDir, instanceId, hostEnvironment })
  const signal = AbortSignal.timeout(20_000)
  for (const { handle } of await driver.list(signal)) await driver.remove(handle, { volumes: true }, signal)
  await driver.close()
}

/** As `openWorld`, closed after the test. */
export async function worldOf(t: TestContext, options: WorldOptions = {}): Promise<World> {
  const world = await openWorld(options)
  t.after(() => world.close())
  return world
}

/** A process that looks like a worker's, but is nobody's: its end is Hive's fault. */
function startBystander(): ChildProcess {
  return spawn(process.execPath, [WORKER], { env: { PORT: '0', COCOON_NAME: 'bystander' }, stdio: 'ignore' })
}

function environment(directory: string, run: string, options: WorldOptions): Record<string, string> {
  const script = { command: process.execPath, args: [WORKER], port: 8080, environment: { CRASH_RUN: run } }
  const container = { image: IMAGE, ports: ['8080'], pull: 'never', environment: { CRASH_RUN: run }, stop_grace: '2s' }
  const kinds = [
    { id: 'script', runner_type: 'script', runner_config: { ...script, stop_grace: '2s' } },
    { id: 'fails', runner_type: 'script', runner_config: { command: 'false', restart: 'never' } },
    ...Object.keys(options.engines ?? {}).map((runner) => ({
      id: runner,
      runner_type: runner,
      runner_config: container,
    })),
    ...(options.kinds ?? []),
  ]
  return {
    HIVE_STATE_DIR: directory,
    HIVE_PORT: '0',
    HIVE_DOCKER_HOST: options.engines?.['docker'] ?? 'unix:///nonexistent/docker.sock',
    HIVE_PODMAN_HOST: options.engines?.['podman'] ?? 'unix:///nonexistent/podman.sock',
    COCOON_KINDS: JSON.stringify(kinds),
    ...portRange(),
    ...options.env,
  }
}

/** A part of the range for each world, so that suites running side by side do not meet. */
function portRange(): Record<string, string> {
  const first = 21_000 + Math.floor(Math.random() * 80) * 100
  return { HIVE_PORT_RANGE: `${first}-${first + 99}` }
}
