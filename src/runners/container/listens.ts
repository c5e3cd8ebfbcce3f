import { readFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { endianness } from 'node:os'
import type { PortBinding } from '../driver.ts'

/** A container's process as the host sees it. The start time proves that the pid is still the same process. */
export interface HostProcess {
  readonly pid: number
  readonly startTime: string
}

/** Where the cocoon's ports can be heard: in its network namespace, at its own addresses, else only at the host's port. */
export interface Listener {
  readonly process: HostProcess | null
  readonly addresses: readonly string[]
}

export type Heard = 'yes' | 'no' | 'loopback-only' | 'unknown'

const DIAL_MS = 1_000
/** A publishing proxy closes what it accepted when nobody listens behind it; so long it may take. */
const STAYS_OPEN_MS = 300
/** The state LISTEN in /proc/net/tcp (include/net/tcp_states.h). */
const LISTEN = '0A'

/** The process with its start time; null if there is none that can be seen. */
export async function hostProcess(pid: number): Promise<HostProcess | null> {
  const startTime = await startTimeOf(pid)
  return startTime === null ? null : { pid, startTime }
}

/**
 * Looks whether the port is in state LISTEN inside the container, from its own network tables.
 * @returns `loopback-only` if nothing outside the container can reach it · `unknown` if the tables cannot be read.
 */
export async function heardInside({ pid, startTime }: HostProcess, port: number): Promise<Heard> {
  const tables = await Promise.all(['tcp', 'tcp6'].map((name) => readOrNull(`/proc/${pid}/net/${name}`)))
  // Read after the tables: were it another process by now, the tables would be its own.
  if ((await startTimeOf(pid)) !== startTime) return 'unknown'
  const readable = tables.filter((table) => table !== null)
  if (readable.length === 0) return 'unknown'
  const addresses = readable.flatMap((table) => listeners(table, port))
  if (addresses.length === 0) return 'no'
  return addresses.every(isLoopback) ? 'loopback-only' : 'yes'
}

/** Dials the container's own addresses: nobody accepts in its place there. */
export async function heardAtAddress(addresses: readonly string[], port: number, signal: AbortSignal): Promise<Heard> {
  for (const host of addresses) {
    const outcome = await dial(host, port, 0, signal)
    if (outcome !== 'unknown') return outcome
  }
  return 'unknown'
}

/** The last resort, for an engine in a virtual machine: the published port accepts and keeps the connection open. */
export function heardAtBinding({ host, hostPort }: PortBinding, signal: AbortSignal): Promise<Heard> {
  return dial(host, hostPort, STAYS_OPEN_MS, signal)
}

/** Local addresses (hex) that listen on this port, from a table as proc_net_tcp.txt describes it. */
export function listeners(table: string, port: number): readonly string[] {
  const suffix = `:${port.toString(16).toUpperCase().padStart(4, '0')}`
  return table
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .filter(([, local, , state]) => state === LISTEN && local?.endsWith(suffix))
    .map(([, local = '']) => local.slice(0, -suffix.length))
}

/** Addresses stand in host byte order, four bytes at a time: 127.0.0.1 is 0100007F on little-endian machines. */
export function isLoopback(address: string): boolean {
  const word = address.slice(-8)
  const isV4 = address.length === 8 || /^0{16}(?:FFFF0000|0000FFFF)/.test(address)
  if (isV4) return (endianness() === 'LE' ? word.slice(6) : word.slice(0, 2)) === '7F'
  return /^0{24}(?:01000000|00000001)$/.test(address)
}

function dial(host: string, port: number, openMs: number, signal: AbortSignal): Promise<Heard> {
  return new Promise((resolve) => {
    const socket = connect({ host, port, signal })
    const finish = (heard: Heard): void => {
      clearTimeout(timer)
      socket.destroy()
      resolve(heard)
    }
    const timer = setTimeout(() => finish('unknown'), DIAL_MS)
    socket.once('error', ({ code }: NodeJS.ErrnoException) =>
      finish(code === 'ECONNREFUSED' || code === 'ECONNRESET' ? 'no' : 'unknown'),
    )
    socket.once('connect', () => {
      if (openMs === 0) return finish('yes')
      setTimeout(() => finish('yes'), openMs).unref()
      socket.once('close', () => finish('no'))
      socket.resume()
    })
  })
}

/** Field 22 of /proc/<pid>/stat, counted after the last parenthesis: a command name may hold anything (F23). */
async function startTimeOf(pid: number): Promise<string | null> {
  const stat = await readOrNull(`/proc/${pid}/stat`)
  return stat?.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? null
}

async function readOrNull(path: string): Promise<string | null> {
  try {
    return await readFile(path, 'utf8')
  } catch {
    // Not Linux, another pid namespace, or the process is gone: all mean that this way of knowing is closed.
    return null
  }
}
