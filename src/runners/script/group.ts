import { readlinkSync } from 'node:fs'
import type { Cage, CocoonIdentity } from './cage.ts'
import { isAlive, type ProcessIdentity, type ProcessStat, readProc, signalProcess } from './identity.ts'
import { isLauncher, MARK_NAME } from './launcher.ts'
import { allProcesses } from './processes.ts'

/**
 * The cage without cgroups: the worker's own session and process group, and every process that carries the mark in its
 * environment or still writes to the attempt's output. Best effort: a descendant that left the session, cleared its
 * environment and closed its output is not seen, unless a parent of it is.
 */
export function groupCage(identity: CocoonIdentity): Cage {
  // Once seen is known for good: a child whose parent ends first can no longer be found by its session.
  const known = new Map<string, ProcessIdentity>()
  const members = (): ProcessIdentity[] => {
    for (const member of membersOf(identity)) known.set(`${member.pid} ${member.startTime}`, member)
    return [...known.values()].filter(isAlive)
  }
  return {
    members,
    isEmpty: () => ![...known.values()].some(isAlive) && members().length === 0,
    thaw: async () => {},
    kill: async () => {
      for (const member of members()) signalProcess(member, 'SIGKILL')
    },
    release: async () => {},
  }
}

function membersOf(identity: CocoonIdentity): ProcessIdentity[] {
  const { worker } = identity
  // While the worker lives its pid cannot be the session or group of strangers; afterwards only the mark proves anything.
  const leader = worker && isAlive(worker) ? worker.pid : null
  const wanted = `${MARK_NAME}=${identity.mark}`
  const living = allProcesses().filter(({ state }) => state !== 'Z' && state !== 'X')
  const found = new Set<number>()
  for (const { pid, session, group } of living) {
    const inSession = leader !== null && (session === leader || group === leader)
    const isMarked = () => (readProc(pid, 'environ') ?? '').split('\0').includes(wanted)
    if (inSession || isMarked() || (writesTo(pid, identity.mark) && !isLaunchers(session))) found.add(pid)
  }
  return withDescendants(living, found)
}

/** The children of what is found belong to it too, whatever they did to their session and environment. */
function withDescendants(living: readonly ProcessStat[], found: Set<number>): ProcessStat[] {
  for (let before = -1; before !== found.size; ) {
    before = found.size
    for (const { pid, parent } of living) if (found.has(parent)) found.add(pid)
  }
  return living.filter(({ pid }) => found.has(pid))
}

/**
 * Only descendants of the worker have its output as theirs: the files lie in a directory that Hive alone may enter.
 * (A cocoon is signalled by this, so it must be the descriptors 1 and 2 that a process was born with.)
 */
function writesTo(pid: number, mark: string): boolean {
  const [id, attempt] = mark.split(/\.(?=\d+$)/)
  return ['1', '2'].some((fd) => {
    const target = linkOf(pid, fd)
    return ['stdout', 'stderr'].some((name) => target.endsWith(`/run/${id}/${attempt}/output/${name}.log`))
  })
}

/** The launcher and its helpers write there too; they are a session of their own, with the launcher at its head. */
function isLaunchers(session: number): boolean {
  return isLauncher(readProc(session, 'cmdline') ?? '')
}

function linkOf(pid: number, fd: string): string {
  try {
    return readlinkSync(`/proc/${pid}/fd/${fd}`)
  } catch {
    return ''
  }
}
