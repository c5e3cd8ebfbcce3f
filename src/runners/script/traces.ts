import { readlinkSync } from 'node:fs'
import { setTimeout as delay, setImmediate as immediate } from 'node:timers/promises'
import { type ProcessStat, readProc, readStat } from './identity.ts'
import { isLauncher, MARK_NAME } from './launcher.ts'
import { allPids, allProcesses } from './processes.ts'

const READ_AT_ONCE = 32

/** What a process carries of the attempt that it belongs to, wherever it went. */
export interface Traces {
  /** The value of the mark in its environment; null = it has none, or may not be read. */
  readonly mark: string | null
  /** What its descriptors 1 and 2 lead to: those that it was born with. */
  readonly outputs: readonly string[]
}

export function tracesOf(pid: number): Traces {
  const start = `${MARK_NAME}=`
  const entry = (readProc(pid, 'environ') ?? '').split('\0').find((text) => text.startsWith(start))
  return { mark: entry?.slice(start.length) ?? null, outputs: ['1', '2'].map((fd) => linkOf(pid, fd)) }
}

/**
 * True if a process with these traces is of the attempt: its environment carries the mark, or it writes to the attempt's
 * output. Those files lie in a directory that Hive alone may enter, so only what descends from the worker or its
 * launcher has them.
 */
export function belongsTo({ mark, outputs }: Traces, wanted: string): boolean {
  const [id, attempt] = wanted.split(/\.(?=\d+$)/)
  const files = ['stdout', 'stderr'].map((name) => `/run/${id}/${attempt}/output/${name}.log`)
  // The kernel says so of a file that was removed: proc_pid_fd(5).
  const ends = files.flatMap((file) => [file, `${file} (deleted)`])
  return mark === wanted || outputs.some((output) => ends.some((end) => output.endsWith(end)))
}

/** All processes at one moment. What they carry is read when it is first asked for. */
export class Census {
  readonly living: readonly ProcessStat[]
  readonly #traces: Map<number, Traces>

  constructor(living = allProcesses().filter(isLiving), traces = new Map<number, Traces>()) {
    this.living = living
    this.#traces = traces
  }

  /** The launcher and its helpers write to the output, too: they are a session of their own, with it at its head. */
  isOf({ pid, session }: ProcessStat, mark: string): boolean {
    const traces = this.#tracesOf(pid)
    if (!belongsTo(traces, mark)) return false
    return traces.mark === mark || !isLauncher(readProc(session, 'cmdline') ?? '')
  }

  #tracesOf(pid: number): Traces {
    const known = this.#traces.get(pid)
    if (known) return known
    const traces = tracesOf(pid)
    this.#traces.set(pid, traces)
    return traces
  }
}

/** The same in slices, so that it holds nothing else up for long. */
async function takeSlowly(): Promise<Census> {
  const living: ProcessStat[] = []
  const traces = new Map<number, Traces>()
  let read = 0
  for (const pid of allPids()) {
    const stat = readStat(pid)
    if (stat && isLiving(stat)) {
      living.push(stat)
      traces.set(pid, tracesOf(pid))
    }
    if (++read % READ_AT_ONCE === 0) await immediate()
  }
  return new Census(living, traces)
}

function isLiving({ state }: ProcessStat): boolean {
  return state !== 'Z' && state !== 'X'
}

let next: Promise<Census> | null = null
let restUntil = 0

/**
 * A census that begins after this call. All who ask meanwhile share it, and however many ask, no more than half of the
 * time is spent on it: it reads a few files of every process on the machine.
 */
export function nextCensus(): Promise<Census> {
  next ??= begin()
  return next
}

async function begin(): Promise<Census> {
  await delay(Math.max(0, restUntil - performance.now()))
  next = null
  const since = performance.now()
  const census = await takeSlowly()
  restUntil = 2 * performance.now() - since
  return census
}

function linkOf(pid: number, fd: string): string {
  try {
    return readlinkSync(`/proc/${pid}/fd/${fd}`)
  } catch {
    return ''
  }
}
