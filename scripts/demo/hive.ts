import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { type DemoDirectory, openDemoDirectory } from './directory.ts'

const USUAL_PORT = 8020
const START_MS = 30_000
const STOP_MS = 15_000

/** A Hive in its own process, with its own state and one native kind called `demo`. */
export interface DemoHive {
  readonly port: number
  /** The port it would have liked: HIVE_PORT, else 8020. */
  readonly wanted: number
  readonly stateDirectory: string
  /** The file that its log goes to. */
  readonly log: string
  /** Resolves when the signal aborts. @throws Error  when Hive ends by itself before. */
  ended(signal: AbortSignal): Promise<void>
  stop(): Promise<void>
}

export async function startDemoHive(root: string, signal: AbortSignal): Promise<DemoHive> {
  const wanted = wantedPort()
  const port = (await isFree(wanted)) ? wanted : await anyPort()
  const directory = await openDemoDirectory(port === USUAL_PORT)
  const log = join(directory.path, 'hive.log')
  const child = startServer(root, { port, directory: directory.path, log })
  // A failed start is seen by `ended` as well; without a listener it would end the demo untidily.
  child.on('error', () => undefined)
  const hive: DemoHive = {
    port,
    wanted,
    stateDirectory: directory.path,
    log,
    ended: (until) => ended(child, log, until),
    stop: () => stop(child, directory),
  }
  const settled = new AbortController()
  try {
    const until = AbortSignal.any([signal, settled.signal])
    await Promise.race([answers(port, until), ended(child, log, until)])
    signal.throwIfAborted()
    return hive
  } catch (error) {
    await hive.stop()
    throw error
  } finally {
    settled.abort()
  }
}

function wantedPort(): number {
  const port = Number(process.env['HIVE_PORT'])
  return Number.isInteger(port) && port > 0 && port < 65_536 ? port : USUAL_PORT
}

function startServer(root: string, at: { port: number; directory: string; log: string }): ChildProcess {
  const file = openSync(at.log, 'w', 0o600)
  try {
    return spawn(process.execPath, [join(root, 'bin', 'hive.js'), 'serve'], {
      env: environment(root, at.port, at.directory),
      stdio: ['ignore', file, file],
      // Its own process group: Ctrl-C must reach the demo first, which kills the cocoons before Hive goes.
      detached: true,
    })
  } finally {
    closeSync(file)
  }
}

/** The user's environment without any setting of another Hive, and the demo's settings. */
function environment(root: string, port: number, directory: string): NodeJS.ProcessEnv {
  const foreign = /^(HIVE_|COCOON_|SIGNALING_SERVER_URL$)/
  const kept = Object.entries(process.env).filter(([name]) => !foreign.test(name))
  // A brace begins a placeholder, so one in a path is doubled.
  const plain = (text: string) => text.replaceAll('{', '{{').replaceAll('}', '}}')
  const worker = plain(join(root, 'examples', 'worker', 'worker.mjs'))
  // A declared port makes `ready` mean that it answers there; its number is Hive's choice.
  const config = { command: process.execPath, args: [worker], port: 8080 }
  return {
    ...Object.fromEntries(kept),
    HIVE_PORT: String(port),
    HIVE_STATE_DIR: directory,
    COCOON_KINDS: JSON.stringify([{ id: 'demo', runner_type: 'script', runner_config: config }]),
  }
}

async function answers(port: number, signal: AbortSignal): Promise<void> {
  const deadline = AbortSignal.any([signal, AbortSignal.timeout(START_MS)])
  while (!deadline.aborted) {
    const answer = await fetch(`http://127.0.0.1:${port}/livez`, { signal: deadline }).catch(() => null)
    await answer?.body?.cancel()
    if (answer?.ok) return
    await sleep(50, undefined, { signal: deadline }).catch(() => undefined)
  }
  if (!signal.aborted) throw new Error(`Hive did not answer within ${START_MS / 1000} s`)
}

async function ended(child: ChildProcess, log: string, signal: AbortSignal): Promise<void> {
  if (child.exitCode === null && child.signalCode === null) {
    try {
      await once(child, 'exit', { signal })
    } catch (error) {
      if (signal.aborted) return
      throw error
    }
  }
  const lines = (await readFile(log, 'utf8')).trim().split('\n').slice(-10)
  throw new Error(`Hive ended with ${child.exitCode ?? child.signalCode}; the end of ${log}:\n${lines.join('\n')}`)
}

async function stop(child: ChildProcess, directory: DemoDirectory): Promise<void> {
  if (child.exitCode === null && child.signalCode === null && child.pid !== undefined) {
    const exit = once(child, 'exit', { signal: AbortSignal.timeout(STOP_MS) })
    child.kill('SIGTERM')
    await exit.catch(() => child.kill('SIGKILL'))
  }
  await directory.release()
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer()
  try {
    server.listen(port, '127.0.0.1')
    await once(server, 'listening')
    return true
  } catch {
    return false // EADDRINUSE, most likely; whatever it is, Hive could not listen there either
  } finally {
    server.close()
  }
}

async function anyPort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  return typeof address === 'object' && address !== null ? address.port : 0
}
