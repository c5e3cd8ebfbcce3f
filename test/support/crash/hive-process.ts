import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as delay } from 'node:timers/promises'
import { within } from '../deadline.ts'

const BIN = new URL('../../../bin/hive.js', import.meta.url).pathname
const START_LIMIT_MS = 60_000

/** How to run the real server. */
export interface HiveCommand {
  readonly env: Readonly<Record<string, string>>
  /** What stands before the command line, such as strace and its options. */
  readonly wrapper?: readonly string[]
  /** The wrapper becomes Hive by exec, instead of staying above it. */
  readonly execs?: boolean
  /** Another program than `hive serve`, which must log the same lines. */
  readonly program?: readonly string[]
}

export interface HiveEnd {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

/** A real Hive in a process of its own. */
export interface HiveProcess {
  readonly url: string
  readonly port: number
  readonly token: string
  /** Of the Hive itself, also behind a wrapper. */
  readonly pid: number
  /** Settles with the end of the process that was started. */
  readonly ended: Promise<HiveEnd>
  /** Everything it wrote so far. */
  output(): string
  /** Sends a signal to the Hive itself, never to its wrapper. */
  signal(name: NodeJS.Signals): void
  /** Sends a signal and waits for the end. */
  end(name: NodeJS.Signals): Promise<HiveEnd>
}

/** The server ended before it listened. */
export class HiveEnded extends Error {
  readonly end: HiveEnd
  readonly output: string

  constructor(end: HiveEnd, output: string) {
    super(`Hive ended with ${end.code ?? end.signal} before it listened:\n${output}`)
    this.end = end
    this.output = output
  }
}

/** Starts a Hive and signals it after so many milliseconds, wherever it is by then. */
export async function signalStart(command: HiveCommand, signal: NodeJS.Signals, afterMs: number): Promise<HiveEnd> {
  const env = { PATH: process.env['PATH'], HOME: process.env['HOME'], ...command.env }
  const child = spawn(process.execPath, [BIN, 'serve'], { env, stdio: 'ignore' })
  const ended = once(child, 'exit').then(([code, name]): HiveEnd => ({ code, signal: name }))
  await delay(afterMs)
  child.kill(signal)
  return within(ended, START_LIMIT_MS, 'the end of Hive').finally(() => child.kill('SIGKILL'))
}

/** Starts a Hive and waits until it listens. @throws HiveEnded */
export async function startHiveProcess(command: HiveCommand): Promise<HiveProcess> {
  const [file, ...args] = [...(command.wrapper ?? []), process.execPath, ...(command.program ?? [BIN, 'serve'])]
  const child = spawn(file as string, args, {
    env: { PATH: process.env['PATH'], HOME: process.env['HOME'], ...command.env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const ended = once(child, 'exit').then(([code, signal]): HiveEnd => ({ code, signal }))
  const chunks: string[] = []
  const output = () => chunks.join('\n')
  const port = listeningPort(child, chunks)
  const first = await within(Promise.race([port, ended]), START_LIMIT_MS, 'the start of Hive').catch((error) => {
    child.kill('SIGKILL')
    throw error
  })
  if (typeof first === 'object') {
    await delay(20) // what it wrote last may still be on its way
    throw new HiveEnded(first, output())
  }
  const isTraced = command.wrapper !== undefined && command.execs !== true
  const pid = isTraced ? await tracedPid(child) : (child.pid ?? 0)
  const signal = (name: NodeJS.Signals) => {
    if (child.exitCode !== null || child.signalCode !== null) return
    // Behind strace the Hive may be long gone; nobody else gets its pid while strace has not looked at its end.
    if (!isTraced || existsSync(`/proc/${pid}`)) process.kill(pid, name)
  }
  return {
    url: `http://127.0.0.1:${first}`,
    port: first,
    token: command.env['HIVE_TOKEN'] ?? (await readToken(command)),
    pid,
    ended,
    output,
    signal,
    async end(name) {
      signal(name)
      // strace stays as long as anything it traces lives, cocoons too: TERM lets go of all of it (strace(1)).
      if (isTraced) child.kill('SIGTERM')
      return within(ended, START_LIMIT_MS, 'the end of Hive')
    },
  }
}

function readToken({ env }: HiveCommand): Promise<string> {
  return readFile(join(env['HIVE_STATE_DIR'] ?? '', 'token'), 'utf8').then((text) => text.trim())
}

/** The one child of the wrapper. */
async function tracedPid(child: ChildProcess): Promise<number> {
  const children = await readFile(`/proc/${child.pid}/task/${child.pid}/children`, 'utf8')
  return Number(children.trim().split(' ')[0])
}

function listeningPort(child: ChildProcess, chunks: string[]): Promise<number> {
  const { promise, resolve } = Promise.withResolvers<number>()
  for (const stream of [child.stdout, child.stderr]) {
    if (stream === null) continue
    createInterface({ input: stream }).on('line', (line) => {
      chunks.push(line)
      if (!line.includes('"Hive is listening"')) return
      resolve((JSON.parse(line) as { port: number }).port)
    })
  }
  return promise
}
