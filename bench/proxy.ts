import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { delayAtHalfLoad, idleSockets, stream, type Throughput, throughput } from './proxy/measures.ts'
import { PEERS, type PeerName, setStage } from './proxy/peers.ts'
import { sayUsage } from './usage.ts'

/**
 * The proxy beside three others before the same cocoon, each in a process on one core, in one run: a bare node:http +
 * undici forwarder, @fastify/http-proxy as it comes, and configurable-http-proxy, which is fetched from npm for the
 * run. The load client and the cocoon share the other core.
 *
 *   npm run bench:proxy -- [--quick] [--json] [--only small,large,delay,stream,sockets] [--peers bare,stock,chp]
 *
 * On a machine that does other things too, compare CPU per request; requests per second are what is left of the core.
 */

sayUsage('npm run bench:proxy -- [--quick] [--json] [--only small,large,delay,stream,sockets] [--peers bare,stock,chp]')
const MEASURES = ['small', 'large', 'delay', 'stream', 'sockets'] as const
const { values } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
    only: { type: 'string', default: MEASURES.join(',') },
    peers: { type: 'string', default: 'bare,stock,chp' },
  },
})
const only = new Set(values.only.split(','))
const names = values.peers.split(',').filter((name): name is PeerName => Object.hasOwn(PEERS, name))
const [rounds, durationMs] = values.quick ? [3, 2_000] : [7, 4_000]
const SMALL = '/bytes/100'
const LARGE = '/bytes/102400'
const STREAM_BYTES = values.quick ? 256 * 1024 ** 2 : 1024 ** 3
/** Two files each in a proxy, and some left for everything else. */
const SOCKETS = values.quick ? 1_000 : Math.min(10_000, Math.floor((await openFilesLimit()) / 2) - 500)
/** V8 gives memory back only after half a minute without work. */
const REST_MS = values.quick ? 1_000 : 60_000

const directory = await mkdtemp(join(tmpdir(), 'hive-bench-'))
const stage = await setStage(directory, names)
try {
  const [hive] = stage.peers
  if (hive === undefined) throw new Error('Hive did not start')
  if (only.has('small') || only.has('delay')) {
    const small = await throughput(stage.peers, { path: SMALL, rounds, durationMs })
    report('small GET, 100 bytes, 32 connections', small, ratios(small))
    const most = new Map(small.map(({ peer, requests_per_s }) => [peer, requests_per_s]))
    const run = { upstream: stage.upstream, most, durationMs: durationMs * 2 }
    if (only.has('delay')) report('delay at half load', await delayAtHalfLoad(stage.peers, run))
  }
  if (only.has('large')) {
    const large = await throughput(stage.peers, { path: LARGE, rounds, durationMs })
    report('100 KB bodies, 32 connections', large, ratios(large))
  }
  if (only.has('stream')) for (const peer of stage.peers) report('one long answer', [await stream(peer, STREAM_BYTES)])
  if (only.has('sockets')) report('idle WebSockets', [await idleSockets(hive, SOCKETS, REST_MS)])
} finally {
  await stage.stop()
  await rm(directory, { recursive: true, force: true })
}

/** How much more Hive does than each of the others: by the clock, and by the processor time of a request. */
function ratios(figures: readonly Throughput[]): Record<string, string> {
  const [hive, ...others] = figures
  if (hive === undefined) return {}
  return Object.fromEntries(
    others.map((other) => {
      const wall = (hive.requests_per_s / other.requests_per_s).toFixed(2)
      const cpu = (other.cpu_us_per_request / hive.cpu_us_per_request).toFixed(2)
      const isVoid = hive.void || other.void
      return [PEERS[other.peer as PeerName], `${isVoid ? 'void' : `${wall} ×`} by the clock, ${cpu} × by CPU time`]
    }),
  )
}

function report(what: string, figures: readonly object[], beside: Record<string, string> = {}): void {
  if (values.json) {
    process.stdout.write(`${JSON.stringify({ what, figures, beside })}\n`)
    return
  }
  process.stdout.write(`${what}\n`)
  for (const figure of figures) process.stdout.write(`  ${JSON.stringify(figure)}\n`)
  for (const [peer, text] of Object.entries(beside)) process.stdout.write(`  Hive ${text} of ${peer}\n`)
}

async function openFilesLimit(): Promise<number> {
  const [, limit] = /^Max open files\s+\d+\s+(\d+)/m.exec(await readFile('/proc/self/limits', 'utf8')) ?? []
  return Number(limit)
}
