import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import type { AddressInfo, Server } from 'node:net'
import type { FastifyInstance } from 'fastify'
import type { Logger } from 'pino'
import { readConfig } from './config.ts'
import { standardOutput } from './log-output.ts'
import { createLogger } from './logging.ts'
import { stopAll } from './services/duties/shutdown.ts'
import { openState } from './services/table/open-state.ts'
import { type StateDirectory, StateDirectoryError } from './services/table/state-directory.ts'
import type { TableTrouble } from './services/table/table.ts'
import type { HiveConfig } from './settings.ts'

const EXIT_CONFIG = 78
const EXIT_STATE = 73
const EXIT_LISTEN = 69
const EXIT_CRASH = 70
const SHUTDOWN_MS = 10_000
/** Of that, what HIVE_STOP_ON_EXIT gives its cocoons, */
const STOP_ALL_MS = 8_000
/** and when connections that are still open are cut. */
const CUT_MS = 8_000
const QUIET_EVERY_MS = 100

/**
 * Runs Hive until a signal ends it.
 *
 * @returns the exit code: 0 after a shutdown, 78 for settings that are wrong (all of them printed), 73 for a state
 *          directory that cannot be used, 69 for a port that cannot be had.
 */
export async function serve(env: NodeJS.ProcessEnv): Promise<number> {
  const settings = readConfig(env)
  if ('problems' in settings) {
    process.stderr.write(`Hive cannot start:\n${settings.problems.map((line) => `  ${line}\n`).join('')}`)
    return EXIT_CONFIG
  }
  const { config } = settings
  const output = standardOutput()
  process.on('exit', () => output.end())
  const log = createLogger(config, output)
  crashOnly(log)
  try {
    let isStarted = false
    const stop = untilSignal(config, log, () => isStarted)
    const { app, state } = await open(config, log)
    await listen(app, config)
    isStarted = true
    sayStarted(app, { config, state, log })
    const signal = await stop
    await close(app, { config, log, signal })
    return 0
  } catch (error) {
    const code = exitCodeOf(error)
    if (code === null) throw error
    const { message, cause } = error as Error
    // Where in Hive it was found helps nobody: the message says what to do.
    log.fatal(cause instanceof Error ? { cause: cause.message } : {}, message)
    process.stderr.write(`Hive cannot start: ${message}\n`)
    return code
  }
}

function exitCodeOf(error: unknown): number | null {
  if (error instanceof StateDirectoryError) return EXIT_STATE
  return error instanceof ListenError ? EXIT_LISTEN : null
}

async function open(config: HiveConfig, log: Logger): Promise<{ app: FastifyInstance; state: StateDirectory }> {
  const { stateDir: path, token, masterKey } = config
  const onTrouble = (trouble: TableTrouble) => onTableTrouble(trouble, log)
  const opening = openState({ path, token, masterKey }, onTrouble)
  opening.catch(() => undefined) // it is awaited below
  // The table's thread starts while this one is busy with loading the app.
  const { buildApp } = await import('./app.ts')
  const { state, table, mended } = await opening
  for (const what of mended) log.warn(what)
  try {
    const app = await buildApp({ config, state, table, log, version: version() })
    return { app, state }
  } catch (error) {
    await table.close()
    throw error
  }
}

/** Two Hives must never both act on one state directory: the one whose table is gone gives way, and its cocoons live on. */
function onTableTrouble({ trouble, isLost }: TableTrouble, log: Logger): void {
  if (!isLost) {
    log.error(`${trouble}; until then nothing new is begun`)
    return
  }
  log.fatal(`${trouble}: Hive ends, its cocoons live on`)
  exitNow(EXIT_STATE)
}

/** @throws ListenError  the app is closed then. */
async function listen(app: FastifyInstance, config: HiveConfig): Promise<void> {
  try {
    await app.listen({ host: addressOf(config), port: config.port })
    await listenForCocoons(app, config)
  } catch (cause) {
    await app.close()
    throw new ListenError(cause)
  }
  const host = config.host.includes(':') ? `[${config.host}]` : config.host
  const own = `http://${host}:${portOf(app.dataPlane ?? app.server)}`
  app.services.setOrigins({ base: config.publicUrl ?? own, ofCocoon: cocoonOrigins(config, own) })
}

/** A domain of its own is reached as Hive itself is, through whatever stands before it; `localhost` never is. */
function cocoonOrigins({ cocoonDomain, publicUrl }: HiveConfig, own: string): (name: string) => string | null {
  if (cocoonDomain === null) return () => null
  const { protocol, port } = new URL(cocoonDomain === 'localhost' ? own : (publicUrl ?? own))
  const rest = `${cocoonDomain}${port === '' ? '' : `:${port}`}`
  return (name) => `${protocol}//${name}.${rest}`
}

/**
 * For `localhost` Fastify would open a second server for its other address, which none of the guards, the upgrade
 * listener's limits and the shutdown know of; and the data plane would listen on one of them only.
 */
function addressOf({ host }: HiveConfig): string {
  return host.toLowerCase() === 'localhost' ? '127.0.0.1' : host
}

function portOf(server: Server): number {
  return (server.address() as AddressInfo).port
}

/** A port that cannot be had; the cause says which one and why. */
class ListenError extends Error {
  constructor(cause: unknown) {
    const why = cause instanceof Error ? cause.message : String(cause)
    super(`${why}. Give it another HIVE_HOST, HIVE_PORT or HIVE_PROXY_PORT.`, { cause })
    this.name = 'ListenError'
  }
}

/** The data plane's own listener, if HIVE_PROXY_PORT asks for one. */
async function listenForCocoons(app: FastifyInstance, config: HiveConfig): Promise<void> {
  const server = app.dataPlane
  if (server === null || config.proxyPort === null) return
  server.listen({ host: addressOf(config), port: config.proxyPort })
  await once(server, 'listening')
}

function sayStarted(app: FastifyInstance, parts: { config: HiveConfig; state: StateDirectory; log: Logger }): void {
  const { config, state, log } = parts
  const { address, port } = app.server.address() as AddressInfo
  const cocoons = app.dataPlane === null ? {} : { cocoon_port: portOf(app.dataPlane) }
  for (const warning of config.warnings) log.warn(warning)
  const open = config.kinds.filter((kind) => !app.runners.describe(kind).isolated).map(({ id }) => id)
  const root = process.getuid?.() === 0
  if (open.length > 0)
    log.warn(
      { kinds: open },
      `script kinds are no security boundary: their cocoons may do all that ${root ? 'ROOT' : 'this user'} may`,
    )
  if (!config.auth) log.warn('HIVE_AUTH=off: everybody on this machine may spawn and kill cocoons')
  const where = config.auth ? { token_from: state.tokenFile ?? 'HIVE_TOKEN' } : {}
  log.info({ address, port, ...cocoons, state: state.path, instance: state.instanceId, ...where }, 'Hive is listening')
}

/** A terminal that is closed sends HUP (signal(7)). */
const SIGNALS = { SIGHUP: 1, SIGINT: 2, SIGTERM: 15 } as const

/** At Ctrl-C the terminal signals everybody in the foreground, and npm passes it on as well: that is one wish, not two. */
const ONE_SIGNAL_MS = 200

/**
 * Resolves with the first HUP, INT or TERM. A second one exits at once, whatever is still going on. One that comes before
 * Hive has started ends it at once too, in good order: nothing was accepted, and the next start picks up from the table.
 */
function untilSignal(config: HiveConfig, log: Logger, isStarted: () => boolean): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    let askedAt: number | null = null
    const onSignal = (signal: keyof typeof SIGNALS) => {
      const isEcho = signal === 'SIGINT' && askedAt !== null && performance.now() - askedAt < ONE_SIGNAL_MS
      if (isEcho) return
      if (askedAt !== null) exitNow(128 + SIGNALS[signal])
      if (!isStarted()) exitNow(0)
      askedAt = performance.now()
      log.info({ signal }, config.stopOnExit ? 'shutting down with all cocoons' : 'shutting down; cocoons live on')
      resolve(signal)
    }
    for (const signal of Object.keys(SIGNALS)) process.on(signal, onSignal)
  })
}

interface Closing {
  readonly config: HiveConfig
  readonly log: Logger
  readonly signal: NodeJS.Signals
}

async function close(app: FastifyInstance, { config, log, signal }: Closing): Promise<void> {
  const late = setTimeout(() => {
    log.error({ signal }, 'shutting down took too long')
    exitNow(EXIT_CRASH)
  }, SHUTDOWN_MS)
  // A client that neither sends nor reads on would hold the listener open.
  const cut = setTimeout(() => app.connections.cutAll(), CUT_MS)
  // So would one that has nothing under way.
  const quiet = setInterval(() => app.connections.endQuiet(), QUIET_EVERY_MS)
  app.beginClosing()
  if (config.stopOnExit) await stopCocoons(app, log)
  await app.close()
  clearInterval(quiet)
  clearTimeout(cut)
  clearTimeout(late)
  log.info('Hive has stopped')
}

async function stopCocoons(app: FastifyInstance, log: Logger): Promise<void> {
  const parts = { view: app.services, supervisor: app.supervisor, log }
  const left = await stopAll(parts, AbortSignal.timeout(STOP_ALL_MS))
  if (left.length > 0) log.warn({ services: left }, 'not stopped in time; the next start goes on stopping them')
}

/** What nobody caught leaves Hive in a state that nobody checked: it ends, and the next start picks up from the table. */
function crashOnly(log: Logger): void {
  const crash = (error: unknown) => {
    log.fatal({ err: error }, 'uncaught: Hive ends, its cocoons live on')
    exitNow(EXIT_CRASH)
  }
  process.on('uncaughtException', crash).on('unhandledRejection', crash)
}

/** The only process.exit of Hive. */
function exitNow(code: number): never {
  process.exit(code)
}

function version(): string {
  // The same from src/ and from dist/.
  return (JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as { version: string }).version
}
