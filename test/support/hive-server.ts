import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { until, within } from './deadline.ts'

export interface ServerAnswer {
  readonly status: number
  // biome-ignore lint/suspicious/noExplicitAny: tests look into answers of every shape
  readonly body: any
}

/** One server process, running or ended. */
export interface HiveServer {
  readonly child: ChildProcess
  /** Everything it wrote so far, both streams. */
  output(): string
  /** The log line with this message; waits for it. */
  line(message: string): Promise<Record<string, unknown>>
  /** Its ports, once it listens. */
  ports(): Promise<{ readonly control: number; readonly cocoons: number }>
  token(): Promise<string>
  call(method: string, path: string, body?: unknown): Promise<ServerAnswer>
  /** The exit code, or the name of the signal that ended it. */
  exit(): Promise<number | string>
}

export interface ServerBench {
  readonly directory: string
  /** Starts Hive on the bench's state directory; `env` is added to the bench's. */
  start(env?: Readonly<Record<string, string>>): HiveServer
}

const START_MS = 60_000
const EXIT_MS = 60_000
const BIN = new URL('../../bin/hive.js', import.meta.url).pathname

/** Real server processes on one new state directory; after the test its cocoons, its processes and itself are gone. */
export async function serverBench(t: TestContext, env: Readonly<Record<string, string>> = {}): Promise<ServerBench> {
  const directory = await mkdtemp(join(tmpdir(), 'hive-server-'))
  const servers: HiveServer[] = []
  const start: ServerBench['start'] = (more = {}) => {
    const server = run({ HIVE_PORT: '0', HIVE_STATE_DIR: directory, COCOON_KINDS: '[]', ...env, ...more })
    servers.push(server)
    return server
  }
  t.after(async () => {
    try {
      await removeCocoons(
        servers.find(isAlive) ?? (servers.some(({ output }) => output().includes('requested')) ? start() : null),
      )
    } finally {
      for (const { child } of servers.filter(isAlive)) {
        child.kill('SIGKILL')
        await once(child, 'exit')
      }
      await rm(directory, { recursive: true, force: true })
    }
  })
  return { directory, start }
}

function run(env: Readonly<Record<string, string>>): HiveServer {
  const child = spawn(process.execPath, [BIN, 'serve'], {
    env: { PATH: process.env['PATH'], HOME: process.env['HOME'], ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let text = ''
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (chunk) => (text += chunk))
  const exited = once(child, 'close').then(([code, signal]) => (code ?? signal) as number | string)
  const line = (message: string) =>
    until(() => find(text, message) ?? failIfEnded(child, text), START_MS, `"${message}"`)
  const ports = async () => {
    const { port, cocoon_port: cocoons = port } = await line('Hive is listening')
    return { control: Number(port), cocoons: Number(cocoons) }
  }
  const token = async () =>
    env['HIVE_TOKEN'] ?? (await readFile(join(env['HIVE_STATE_DIR'] ?? '', 'token'), 'utf8')).trim()
  return {
    child,
    output: () => text,
    line,
    ports,
    token,
    async call(method, path, body) {
      const { control } = await ports()
      const answer = await fetch(`http://127.0.0.1:${control}${path}`, {
        method,
        headers: {
          authorization: `Bearer ${await token()}`,
          ...(body !== undefined && { 'content-type': 'application/json' }),
        },
        ...(body !== undefined && { body: JSON.stringify(body) }),
      })
      const answered = await answer.text()
      return { status: answer.status, body: answered === '' ? null : JSON.parse(answered) }
    },
    exit: () => within(exited, EXIT_MS, 'the end of the server'),
  }
}

function find(text: string, message: string): Record<string, unknown> | undefined {
  const lines = text.split('\n').filter((line) => line.startsWith('{') && line.endsWith('}'))
  return lines.map((line) => JSON.parse(line) as Record<string, unknown>).find(({ msg }) => msg === message)
}

function failIfEnded(child: ChildProcess, text: string): undefined {
  if (child.exitCode !== null) throw new Error(`the server has ended with ${child.exitCode}: ${text}`)
  return undefined
}

function isAlive({ child }: HiveServer): boolean {
  return child.exitCode === null && child.signalCode === null
}

async function removeCocoons(server: HiveServer | null): Promise<void> {
  if (server === null || find(server.output(), 'Hive is listening') === undefined) {
    if (server === null) return
    await server.ports()
  }
  const { body } = await server.call('GET', '/services?limit=1000')
  for (const { name } of body?.services ?? []) await server.call('DELETE', `/services/${name}?volumes=true`)
}
