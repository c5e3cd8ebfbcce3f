import { closeSync, openSync, readdirSync, readlinkSync, readSync } from 'node:fs'
import { connect } from 'node:net'
import type { ProcessIdentity } from './identity.ts'
import { allProcesses } from './processes.ts'

const CONNECT_TIMEOUT_MS = 250
const EXACT = 3
/** A line of /proc/net/tcp with any state but 0A. */
const NOT_LISTENING = /^ *\d+: \S+ \S+ (?!0A)[0-9A-F]{2} /m

/** `none` = nobody listens · `ours` · `stranger` = somebody else has the port · `unknown` = it cannot be told whose it is. */
export type ListenerOwner = 'none' | 'ours' | 'stranger' | 'unknown'

/** True if a TCP connection is accepted. */
export async function accepts(host: string, port: number, signal: AbortSignal): Promise<boolean> {
  const { promise, resolve, reject } = Promise.withResolvers<boolean>()
  const socket = connect({ host, port, timeout: CONNECT_TIMEOUT_MS })
  const onAbort = () => reject(signal.reason)
  socket.on('error', () => resolve(false))
  socket.on('timeout', () => resolve(false))
  socket.on('connect', () => resolve(true))
  signal.addEventListener('abort', onAbort, { once: true })
  try {
    return await promise
  } finally {
    signal.removeEventListener('abort', onAbort)
    socket.destroy()
  }
}

/**
 * Whose the listening sockets on a loopback port are.
 * @param members  the cocoon's processes.
 */
export function listenerOwner(port: number, members: readonly ProcessIdentity[]): ListenerOwner {
  const inodes = listenInodes(port)
  if (inodes.size === 0) return 'none'
  let hidden = false
  for (const { pid } of members) {
    const sockets = socketsOf(pid)
    if (sockets === null) hidden = true
    else if (sockets.some((inode) => inodes.has(inode))) return 'ours'
  }
  return hidden ? 'unknown' : 'stranger'
}

/** The processes that hold a listening socket which answers on 127.0.0.1:port, as far as they can be looked into. */
export function listenersOn(port: number): readonly number[] {
  const inodes = listenInodes(port)
  if (inodes.size === 0) return []
  return allProcesses()
    .map(({ pid }) => pid)
    .filter((pid) => socketsOf(pid)?.some((inode) => inodes.has(inode)))
}

/**
 * Inodes of the sockets that answer on 127.0.0.1:port, from /proc/net/tcp and tcp6 (proc_pid_net(5)): local address in
 * hex words of host byte order, state 0A = LISTEN, inode in column 10.
 */
function listenInodes(port: number): Set<string> {
  const found: { readonly inode: string; readonly rank: number }[] = []
  for (const file of ['/proc/self/net/tcp', '/proc/self/net/tcp6']) {
    for (const [local = '', inode = ''] of listenLines(file, port)) {
      found.push({ inode, rank: rankOf(local.split(':')[0] ?? '') })
    }
    if (found.some(({ rank }) => rank === EXACT)) break
  }
  const best = Math.max(1, ...found.map(({ rank }) => rank))
  return new Set(found.filter(({ rank }) => rank === best).map(({ inode }) => inode))
}

/** Local address and inode of each listening socket on the port. */
function listenLines(file: string, port: number): (string | undefined)[][] {
  const end = `:${port.toString(16).toUpperCase().padStart(4, '0')}`
  return readListening(file)
    .filter((line) => line.includes(`${end} `))
    .map((line) => line.trim().split(/\s+/))
    .filter(([, local, , state]) => state === '0A' && local?.endsWith(end))
    .map((fields) => [fields[1], fields[9]])
}

/** Who gets a connection to 127.0.0.1: the exact address before 0.0.0.0 before ::, 0 = not this one. */
function rankOf(address: string): number {
  const mapped = address.startsWith('0000000000000000FFFF0000') || address.startsWith('00000000000000000000FFFF')
  if (address.length > 8 && !mapped) return /^0+$/.test(address) ? 1 : 0
  const ipv4 = address.slice(-8)
  if (ipv4 === '0100007F' || ipv4 === '7F000001') return EXACT
  return ipv4 === '00000000' ? 2 : 0
}

/** The kernel lists listening sockets first; walking on through all others takes it milliseconds. */
function readListening(path: string): string[] {
  const chunk = Buffer.allocUnsafe(16_384)
  let text = ''
  try {
    const file = openSync(path, 'r')
    try {
      for (;;) {
        const read = readSync(file, chunk)
        text += chunk.toString('latin1', 0, read)
        if (read === 0 || NOT_LISTENING.test(text)) return text.split('\n').slice(1)
      }
    } finally {
      closeSync(file)
    }
  } catch {
    return []
  }
}

/** Socket inodes that a process holds; null = not ours to see. */
function socketsOf(pid: number): string[] | null {
  try {
    return readdirSync(`/proc/${pid}/fd`).flatMap((name) => socketInode(`/proc/${pid}/fd/${name}`) ?? [])
  } catch (error) {
    // ENOENT, ESRCH: it has just ended and holds nothing.
    return ['EACCES', 'EPERM'].includes((error as NodeJS.ErrnoException).code ?? '') ? null : []
  }
}

function socketInode(link: string): string | null {
  try {
    return /^socket:\[(\d+)\]$/.exec(readlinkSync(link))?.[1] ?? null
  } catch {
    return null
  }
}
