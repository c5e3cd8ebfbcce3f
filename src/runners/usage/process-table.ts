import { readdirSync, readlinkSync } from 'node:fs'
import { type ProcessStat, readStat } from '../script/identity.ts'

/** So long one look at all processes serves everybody who asks. */
const FRESH_MS = 1_000

/**
 * Finds the processes of cocoons that have no cgroup of their own. All of /proc is read for it, so at most once a
 * second, however many cocoons are asked about.
 */
export class ProcessTable {
  #readAt = Number.NEGATIVE_INFINITY
  #all: readonly ProcessStat[] = []
  #namespaces: ReadonlyMap<string, readonly number[]> | null = null

  /** The process, what is in the session or group that it leads, and all their descendants. */
  familyOf(pid: number): readonly number[] {
    this.#refresh()
    const found = new Set([pid])
    for (const each of this.#all) if (each.session === pid || each.group === pid) found.add(each.pid)
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
    const own = namespace(pid)
    return own === null || own === namespace('self') ? null : (this.#namespaces.get(own) ?? [pid])
  }

  #refresh(): void {
    if (performance.now() - this.#readAt < FRESH_MS) return
    this.#readAt = performance.now()
    this.#namespaces = null
    this.#all = readdirSync('/proc').flatMap((name) => (/^\d+$/.test(name) ? (readStat(Number(name)) ?? []) : []))
  }

  #readNamespaces(): ReadonlyMap<string, readonly number[]> {
    return Map.groupBy(
      this.#all.map(({ pid }) => pid),
      (pid) => namespace(pid) ?? '',
    )
  }
}

function namespace(pid: number | 'self'): string | null {
  try {
    return readlinkSync(`/proc/${pid}/ns/pid`)
  } catch {
    return null
  }
}
