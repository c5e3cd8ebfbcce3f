import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { CLIENT_CORE } from './processes.ts'

export interface LoadOrder {
  readonly port: number
  readonly path: string
  readonly connections: number
  readonly durationMs: number
  /** Requests per second over all connections; absent = as many as there are answers. */
  readonly rate?: number
}

export interface LoadResult {
  readonly requests: number
  readonly seconds: number
  readonly p50Ms: number
  readonly p99Ms: number
  /** Of the client's core; above 0.9 the run says more about the client than about the server. */
  readonly clientShare: number
}

/** Runs the load client in a process of its own, on the core that is not the proxies'. */
export async function load(order: LoadOrder): Promise<LoadResult> {
  const client = new URL('load-client.ts', import.meta.url).pathname
  const child = spawn('taskset', ['-c', CLIENT_CORE, process.execPath, client, JSON.stringify(order)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let text = ''
  child.stdout.on('data', (chunk: Buffer) => {
    text += chunk.toString()
  })
  const [code] = (await once(child, 'close')) as [number | null]
  if (code !== 0) throw new Error(`the load client ended with ${code}`)
  return JSON.parse(text) as LoadResult
}
