import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as delay } from 'node:timers/promises'
import { quantile } from '../quantile.ts'
import { type LoadResult, load } from './load.ts'
import type { Peer } from './peers.ts'
import { CLIENT_CORE, cpuMs, openFiles, residentBytes } from './processes.ts'

export const CONNECTIONS = 32
/** A client that uses more of its core than this measures itself. */
const MOST_CLIENT_SHARE = 0.9
const MEGABYTE = 1024 * 1024

export interface Throughput {
  readonly peer: string
  readonly requests_per_s: number
  readonly cpu_us_per_request: number
  readonly p99_ms: number
  /** The most that one of the rounds took. */
  readonly client_share: number
  /** The client was the bottleneck: the wall-clock figures say nothing. */
  readonly void: boolean
}

/** All peers in turn, round after round, so that what else the machine does hits all alike; medians of the rounds. */
export async function throughput(
  peers: readonly Peer[],
  run: { readonly path: string; readonly rounds: number; readonly durationMs: number },
): Promise<Throughput[]> {
  const results = peers.map((peer) => ({
    peer,
    rates: [] as number[],
    costs: [] as number[],
    runs: [] as LoadResult[],
  }))
  // What is not compiled yet costs several times as much.
  for (const { peer } of results) await load(orderFor(peer, { ...run, durationMs: run.durationMs * 2 }))
  for (let round = 0; round < run.rounds; round += 1)
    for (const { peer, rates, costs, runs } of results) {
      const before = cpuMs(peer.pid)
      const result = await load(orderFor(peer, run))
      costs.push(((cpuMs(peer.pid) - before) * 1_000) / result.requests)
      rates.push(result.requests / result.seconds)
      runs.push(result)
    }
  return results.map(({ peer, rates, costs, runs }) => {
    const client_share = Math.max(...runs.map(({ clientShare }) => clientShare))
    return {
      peer: peer.name,
      requests_per_s: Math.round(quantile(rates, 0.5)),
      cpu_us_per_request: quantile(costs, 0.5),
      p99_ms: quantile(
        runs.map(({ p99Ms }) => p99Ms),
        0.5,
      ),
      client_share: Math.round(client_share * 100) / 100,
      void: client_share > MOST_CLIENT_SHARE,
    }
  })
}

function orderFor(peer: Peer, { path, durationMs }: { readonly path: string; readonly durationMs: number }) {
  return { port: peer.port, path: peer.prefix + path, connections: CONNECTIONS, durationMs }
}

export interface Delay {
  readonly peer: string
  readonly requests_per_s: number
  readonly p99_ms: number
  /** More than the cocoon alone takes at the same rate. */
  readonly added_p99_ms: number
}

/** What the proxy adds to the slowest hundredth while it has half of the work it could do. */
export async function delayAtHalfLoad(
  peers: readonly Peer[],
  run: { readonly upstream: number; readonly most: ReadonlyMap<string, number>; readonly durationMs: number },
): Promise<Delay[]> {
  const delays: Delay[] = []
  for (const peer of peers) {
    const rate = Math.round((run.most.get(peer.name) ?? 0) / 2)
    const order = { connections: CONNECTIONS, durationMs: run.durationMs, rate }
    const alone = await load({ ...order, port: run.upstream, path: '/bytes/100' })
    const proxied = await load({ ...order, port: peer.port, path: `${peer.prefix}/bytes/100` })
    const added = Math.round((proxied.p99Ms - alone.p99Ms) * 100) / 100
    delays.push({ peer: peer.name, requests_per_s: rate, p99_ms: proxied.p99Ms, added_p99_ms: added })
  }
  return delays
}

export interface Streamed {
  readonly peer: string
  readonly megabytes_per_s: number
  readonly cpu_ms_per_gb: number
  /** The most it took beyond what it had before, in MB. */
  readonly grown_mb: number
}

const SAMPLE_MS = 50

/** One answer of a gigabyte, and the memory it takes on its way. */
export async function stream(peer: Peer, bytes: number): Promise<Streamed> {
  const before = { bytes: residentBytes(peer.pid), cpu: cpuMs(peer.pid) }
  let most = before.bytes
  const sampler = setInterval(() => {
    most = Math.max(most, residentBytes(peer.pid))
  }, SAMPLE_MS)
  const client = pinned('stream-client.ts', [String(peer.port), `${peer.prefix}/bytes/${bytes}`])
  const text = await client.output
  clearInterval(sampler)
  const result = JSON.parse(text) as { readonly bytes: number; readonly seconds: number }
  if (result.bytes < bytes) throw new Error(`${peer.name} sent ${result.bytes} of ${bytes} bytes`)
  return {
    peer: peer.name,
    megabytes_per_s: Math.round(bytes / MEGABYTE / result.seconds),
    cpu_ms_per_gb: Math.round(((cpuMs(peer.pid) - before.cpu) * 1024 * MEGABYTE) / bytes),
    grown_mb: Math.round((most - before.bytes) / MEGABYTE),
  }
}

export interface Sockets {
  readonly peer: string
  readonly sockets: number
  readonly bytes_each: number
  readonly files: { readonly before: number; readonly open: number; readonly after: number }
  readonly memory_mb: { readonly before: number; readonly open: number; readonly after: number }
}

/** Idle WebSockets: what each takes, and what is left when they are gone and `restMs` have passed. */
export async function idleSockets(peer: Peer, count: number, restMs: number): Promise<Sockets> {
  const now = () => ({ bytes: residentBytes(peer.pid), files: openFiles(peer.pid) })
  const before = now()
  const client = pinned('socket-client.ts', [String(peer.port), `${peer.prefix}/ws`, String(count)])
  await Promise.race([once(client.stdout, 'data'), client.output.then(() => Promise.reject(new Error('no sockets')))])
  const open = now()
  client.stdin.end()
  await client.output
  await delay(restMs)
  const after = now()
  const megabytes = (bytes: number) => Math.round(bytes / MEGABYTE)
  return {
    peer: peer.name,
    sockets: count,
    bytes_each: Math.round((open.bytes - before.bytes) / count),
    files: { before: before.files, open: open.files, after: after.files },
    memory_mb: { before: megabytes(before.bytes), open: megabytes(open.bytes), after: megabytes(after.bytes) },
  }
}

function pinned(program: string, args: readonly string[]) {
  const file = new URL(program, import.meta.url).pathname
  const child = spawn('taskset', ['-c', CLIENT_CORE, process.execPath, file, ...args], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  let text = ''
  child.stdout.on('data', (chunk: Buffer) => {
    text += chunk.toString()
  })
  const output = once(child, 'close').then(() => text)
  return { stdin: child.stdin, stdout: child.stdout, output }
}
