import { closeSync, constants, openSync, readSync } from 'node:fs'
import { uptime } from 'node:os'

/** One read gives one record, of at most this many bytes (Documentation/ABI/testing/dev-kmsg). */
const RECORD_BYTES = 8_192
/** Far more than a kernel keeps by default. */
const MOST_RECORDS = 50_000
/** Clocks are not read at one instant. */
const SLACK_MS = 1_000

/**
 * True if the kernel's log tells that it has killed a process for memory in a cgroup with this name, at that time or
 * later. False also where this user may not read it, or where it has turned over.
 *
 * @param mark  stands in the cgroup's path.  @param sinceMs  Unix time in milliseconds.
 */
export function tellsOomKill(mark: string, sinceMs: number): boolean {
  const booted = Date.now() - uptime() * 1_000
  return records().some((record) => {
    if (!record.includes('oom-kill:') || !record.includes(mark)) return false
    // `priority,sequence,microseconds since boot,…;text`
    return booted + Number(record.split(',', 3)[2]) / 1_000 >= sinceMs - SLACK_MS
  })
}

function records(): readonly string[] {
  const found: string[] = []
  let file: number | null = null
  try {
    file = openSync('/dev/kmsg', constants.O_RDONLY | constants.O_NONBLOCK)
    const buffer = Buffer.alloc(RECORD_BYTES)
    for (let left = MOST_RECORDS; left > 0; left--) {
      const length = readRecord(file, buffer)
      if (length === null) break
      found.push(buffer.toString('latin1', 0, length))
    }
  } catch {
    // no such device, or not for this user
  } finally {
    if (file !== null) closeSync(file)
  }
  return found
}

/** null = the end, for now. */
function readRecord(file: number, buffer: Buffer): number | null {
  try {
    return readSync(file, buffer)
  } catch (error) {
    // The oldest were overwritten meanwhile: the next read goes on after them.
    return (error as NodeJS.ErrnoException).code === 'EPIPE' ? 0 : null
  }
}
