import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { createInterface } from 'node:readline'

export interface HiveProcess {
  readonly url: string
  readonly pid: number
  readonly token: string
  call(method: string, path: string, body?: unknown): Promise<{ status: number; body: Record<string, unknown> }>
  stop(): Promise<void>
  /** SIGKILL. */
  kill(): Promise<void>
}

const BIN = new URL('../bin/hive.js', import.meta.url).pathname

/** A real Hive in its own process; `HIVE_STATE_DIR` must be given. */
export async function startHive(env: Readonly<Record<string, string>>, bin = BIN): Promise<HiveProcess> {
  const child = spawn(process.execPath, [bin, 'serve'], {
    env: { PATH: process.env['PATH'], HOME: process.env['HOME'], ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const port = await listeningPort(child)
  const url = `http://127.0.0.1:${port}`
  const token = env['HIVE_TOKEN'] ?? (await readFile(`${env['HIVE_STATE_DIR']}/token`, 'utf8')).trim()
  return {
    url,
    pid: child.pid ?? 0,
    token,
    async call(method, path, body) {
      const answer = await fetch(url + path, {
        method,
        headers: {
          authorization: `Bearer ${token}`,
          ...(body !== undefined && { 'content-type': 'application/json' }),
        },
        ...(body !== undefined && { body: JSON.stringify(body) }),
      })
      return { status: answer.status, body: (await answer.json()) as Record<string, unknown> }
    },
    async stop() {
      if (child.exitCode !== null) return
      child.kill('SIGTERM')
      await once(child, 'exit')
    },
    async kill() {
      child.kill('SIGKILL')
      await once(child, 'exit')
    },
  }
}

/** Reads the log until the line that says where it listens; the rest is drained so that the pipe never fills. */
async function listeningPort(child: ChildProcess): Promise<number> {
  if (!child.stdout) throw new Error('no output to read')
  return new Promise((resolve, reject) => {
    child.once('exit', (code) => reject(new Error(`Hive ended with ${code} before it listened`)))
    createInterface({ input: child.stdout as NonNullable<typeof child.stdout> }).on('line', (line) => {
      const entry = line.startsWith('{') ? (JSON.parse(line) as { msg?: string; port?: number }) : {}
      if (entry.msg === 'Hive is listening' && entry.port) resolve(entry.port)
    })
  })
}
