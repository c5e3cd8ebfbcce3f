import { execFile } from 'node:child_process'
import { mkdir } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { promisify } from 'node:util'
import { startHive } from '../hive-process.ts'
import { CLIENT_CORE, moveTo, PROXY_CORE, startOn } from './processes.ts'

export type PeerName = 'hive' | 'bare' | 'stock' | 'chp'

/** Who the names are, for people. */
export const PEERS: Readonly<Record<PeerName, string>> = {
  hive: 'Hive',
  bare: 'bare node:http + undici forwarder',
  stock: '@fastify/http-proxy with its defaults',
  chp: 'configurable-http-proxy',
}

/** One proxy before the cocoon, in a process of its own. */
export interface Peer {
  readonly name: PeerName
  readonly pid: number
  readonly port: number
  /** What stands before the cocoon's own paths. */
  readonly prefix: string
  stop(): Promise<void>
}

export interface Stage {
  readonly peers: readonly Peer[]
  /** The cocoon's own port, for what is measured without a proxy. */
  readonly upstream: number
  stop(): Promise<void>
}

const CHP = 'configurable-http-proxy@^5'
const READY_LIMIT_MS = 20_000

/** Starts Hive with a cocoon, then the other proxies before the same cocoon. */
export async function setStage(directory: string, names: readonly PeerName[]): Promise<Stage> {
  const hive = await hiveWithCocoon(join(directory, 'hive'))
  const stage = { peers: [hive.peer], upstream: hive.upstream }
  const stop = async () => {
    for (const peer of stage.peers.toReversed()) await peer.stop()
  }
  try {
    for (const name of names) if (name !== 'hive') stage.peers.push(await startPeer(name, hive.upstream, directory))
  } catch (error) {
    await stop()
    throw error
  }
  return { ...stage, stop }
}

async function hiveWithCocoon(state: string): Promise<{ peer: Peer; upstream: number }> {
  const upstream = new URL('upstream.ts', import.meta.url).pathname
  const config = { command: 'taskset', args: ['-c', CLIENT_CORE, process.execPath, upstream], port: 8080 }
  const hive = await startHive({
    HIVE_STATE_DIR: state,
    HIVE_PORT: '0',
    COCOON_KINDS: JSON.stringify([{ id: 'bench', runner_type: 'script', runner_config: config }]),
  })
  const stop = async () => {
    await hive.call('DELETE', '/services/web')
    await hive.stop()
  }
  const { status, body } = await hive.call('POST', '/spawn?wait=ready', { kind: 'bench', name: 'web' })
  if (status !== 201) {
    await stop()
    throw new Error(`spawn answered ${status}: ${JSON.stringify(body)}`)
  }
  // Not earlier: the cocoon would have inherited it.
  moveTo(PROXY_CORE, hive.pid)
  const [port] = body['ports'] as [{ readonly host_port: number }]
  const peer: Peer = { name: 'hive', pid: hive.pid, port: Number(new URL(hive.url).port), prefix: '/cocoons/web', stop }
  return { peer, upstream: port.host_port }
}

async function startPeer(name: Exclude<PeerName, 'hive'>, upstream: number, directory: string): Promise<Peer> {
  const [port, apiPort] = [await freePort(), await freePort()]
  const started =
    name === 'chp'
      ? startOn(PROXY_CORE, [...(await chpCommand(directory)), ...chpArguments(port, apiPort, upstream)])
      : startOn(PROXY_CORE, [
          process.execPath,
          new URL(`peer-${name}.ts`, import.meta.url).pathname,
          String(port),
          String(upstream),
        ])
  try {
    await untilAnswers(port)
  } catch (error) {
    await started.stop()
    throw error
  }
  return { name, port, prefix: '', ...started }
}

/** Its own program in a folder of its own: no dependency of Hive, and gone with the run. */
async function chpCommand(directory: string): Promise<readonly string[]> {
  const folder = join(directory, 'chp')
  await mkdir(folder)
  await promisify(execFile)('npm', ['install', '--no-save', '--no-audit', '--no-fund', '--prefix', folder, CHP])
  return [process.execPath, join(folder, 'node_modules/configurable-http-proxy/bin/configurable-http-proxy')]
}

function chpArguments(port: number, apiPort: number, upstream: number): readonly string[] {
  const listen = ['--ip', '127.0.0.1', '--port', String(port), '--api-port', String(apiPort)]
  return [...listen, '--default-target', `http://127.0.0.1:${upstream}`, '--log-level', 'warn']
}

async function untilAnswers(port: number): Promise<void> {
  const end = performance.now() + READY_LIMIT_MS
  for (;;) {
    const answer = await fetch(`http://127.0.0.1:${port}/bytes/1`).catch(() => null)
    await answer?.arrayBuffer()
    if (answer?.ok) return
    if (performance.now() > end) throw new Error(`nothing answers on port ${port}`)
    await delay(20)
  }
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer().once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      server.close(() => resolve(typeof address === 'object' && address ? address.port : 0))
    })
  })
}
