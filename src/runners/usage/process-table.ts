import { readdirSync, readlinkSync } from 'node:fs'
import { type ProcessStat, readProc, readStat } from '../script/identity.ts'

/** So long one look at all processes serves everybody who asks: a sample is taken every ten seconds. */
const FRESH_MS = 2_500
/** A process has its parent's environment until it executes something: one without the variable is looked at again. */
const LOOKS = 3

interface Marked {
  readonly startTime: number
  /** Value of the variable; null = it had none so far. */
  readonly mark: string | null
  readonly looks: number
}

/**
 * Finds the processes of cocoons that have no cgroup of their own. All of /proc is read for it, so every few seconds
 * at most, however many cocoons are asked about.
 */
export class ProcessTable {
  #readAt = Number.NEGATIVE_INFINITY
  #all: readonly ProcessStat[] = []
  #namespaces: ReadonlyMap<string, readonly number[]> | null = null
  #marks: ReadonlyMap<number, Marked> = new Map()
  #marksAreFresh = false

  /**
   * The process, what is in the session or group that it leads, what has this value in an environment variable, and all
   * their descendants.
   */
  familyOf(pid: number, mark: { readonly variable: string; readonly value: string }): readonly number[] {
    this.#refresh()
    this.#readMarks(mark.variable)
    const found = new Set([pid])
    for (const each of this.#all) {
      const isMarked = this.#marks.get(each.pid)?.mark === mark.value
      if (isMarked || each.session === pid || each.group === pid) found.add(each.pid)
    }
    for (let before = 0; before !== found.size; ) {
      before = found.size
      for (const each of this.#all) if (found.has(each.parent)) found.add(each.pid)
    }
    return [...found]
  }

  /** Everything in the pid namespace of a process; null = it may not be read, or the namespace is Hive's own. */
  namespaceOf(pid: number): readonly number[] | null {
    this.#refresh()
    this.#namespaces ??= this.#readNamespaces()
    const own = pidNamespace(pid)
    return own === null || own === pidNamespace('self') ? null : (this.#namespaces.get(own) ?? [pid])
  }

  #refresh(): void {
    if (performance.now() - this.#readAt < FRESH_MS) return
    this.#readAt = performance.now()
    this.#namespaces = null
    this.#marksAreFresh = false
    this.#all = readdirSync('/proc').flatMap((name) => (/^\d+$/.test(name) ? (readStat(Number(name)) ?? []) : []))
  }

  #readMarks(variable: string): void {
    if (this.#marksAreFresh) return
    this.#marksAreFresh = true
    const marks = new Map<number, Marked>()
    for (const { pid, startTime } of this.#all) {
      const before = this.#marks.get(pid)
      const known = before?.startTime === startTime ? before : null
      const isSettled = known !== null && (known.mark !== null || known.looks >= LOOKS)
      const looks = (known?.looks ?? 0) + 1
      marks.set(pid, isSettled ? known : { startTime, mark: markOf(pid, variable), looks })
    }
    this.#marks = marks
  }

  #readNamespaces(): ReadonlyMap<string, readonly number[]> {
    return Map.groupBy(
      this.#all.map(({ pid }) => pid),
      (pid) => pidNamespace(pid) ?? '',
    )
  }
}

function markOf(pid: number, variable: string): string | null {
  const entry = readProc(pid, 'environ')
    ?.split('\0')
    .find((text) => text.startsWith(`${variable}=`))
  return entry?.slice(variable.length + 1) ?? null
}

/** Names the pid namespace of a process; null = it may not be read. */
export function pidNamespace(pid: number | 'self'): string | null {
  try {
    return readlinkSync(`/proc/${pid}/ns/pid`)
  } catch {
    return null
  }
}

/** Everything in a pid namespace as of now, unless it is Hive's own. */
export function pidsIn(namespace: string | null): readonly number[] {
  if (namespace === null || namespace === pidNamespace('self')) return []
  return readdirSync('/proc')
    .map(Number)
    .filter((pid) => pid > 0 && pidNamespace(pid) === namespace)
}
