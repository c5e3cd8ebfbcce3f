import { constants, fstatSync, openSync, writeSync } from 'node:fs'
import { isatty } from 'node:tty'

/** Kept while nobody takes the log: about a thousand lines. */
const BACKLOG_BYTES = 256 * 1024
const RETRY_MS = 100
/** At the end a reader that is a little slow still gets the last lines. */
const LAST_TRIES = 20
const LAST_WAIT_MS = 10

export interface LogOutputParts {
  /** Writes some of it and says how much; throws what write(2) says. Must not block. */
  readonly write: (bytes: Buffer) => number
  readonly now: () => Date
  readonly backlogBytes?: number
}

/**
 * Where log lines go. A log that cannot be written must never hold up or end what it tells of: on a full disk, or with a
 * reader that does not read, some lines are kept and the rest is dropped; how many were is said once it works again.
 * A reader that has gone for good (`hive serve | head -1`) ends the log, not Hive.
 */
export class LogOutput {
  readonly #parts: LogOutputParts
  readonly #room: number
  /** Unwritten, oldest first; of the first one a part may be written already. */
  #backlog: Buffer[] = []
  #bytes = 0
  #lost = 0
  #lastFault = ''
  #closed = false
  #retry: NodeJS.Timeout | null = null

  constructor(parts: LogOutputParts) {
    this.#parts = parts
    this.#room = parts.backlogBytes ?? BACKLOG_BYTES
  }

  /** One whole line. Never throws, never waits. */
  write(line: string): void {
    if (this.#closed) return
    const bytes = Buffer.from(line)
    // Once a line is lost all later ones are, too, until the word of it is written: the order tells the truth.
    const isFull = this.#lost > 0 || this.#bytes + bytes.length > this.#room
    if (isFull && !this.#flush()) {
      this.#lost++
      return
    }
    this.#keep(bytes)
    this.#flush()
  }

  /** Before the process ends: gives a slow reader 200 ms at most. */
  end(): void {
    for (let n = 0; n < LAST_TRIES && !this.#flush() && this.#lastFault === 'EAGAIN'; n++)
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, LAST_WAIT_MS)
    this.#closed = true
    if (this.#retry) clearTimeout(this.#retry)
  }

  #keep(bytes: Buffer): void {
    this.#backlog.push(bytes)
    this.#bytes += bytes.length
  }

  /** @returns true if nothing is left to write. */
  #flush(): boolean {
    try {
      this.#writeBacklog()
      if (this.#lost > 0) {
        this.#keep(this.#lossLine())
        this.#lost = 0
        this.#writeBacklog()
      }
      return true
    } catch (error) {
      this.#failed(error)
      return this.#closed
    }
  }

  #writeBacklog(): void {
    for (let first = this.#backlog[0]; first !== undefined; first = this.#backlog[0]) {
      const written = this.#parts.write(first)
      this.#bytes -= written
      if (written === first.length) this.#backlog.shift()
      else this.#backlog[0] = first.subarray(written)
    }
  }

  #lossLine(): Buffer {
    const time = this.#parts.now().toISOString()
    const msg = 'log lines were lost: the log could not be written'
    return Buffer.from(`${JSON.stringify({ level: 40, time, lost: this.#lost, code: this.#lastFault, msg })}\n`)
  }

  #failed(error: unknown): void {
    this.#lastFault = (error as NodeJS.ErrnoException).code ?? String(error)
    // Nobody will ever read it again; all other faults may pass.
    if (this.#lastFault === 'EPIPE') {
      this.#closed = true
      this.#backlog = []
      return
    }
    this.#retry ??= setTimeout(() => {
      this.#retry = null
      this.#flush()
    }, RETRY_MS).unref()
  }
}

/** The log on the standard output of this process. */
export function standardOutput(): LogOutput {
  const fd = unblocked(process.stdout.fd)
  return new LogOutput({ write: (bytes) => writeSync(fd, bytes), now: () => new Date() })
}

/**
 * A descriptor for the same thing that never waits. Opened anew, a pipe or a terminal gets a flag of its own, which
 * those that share the old one do not see (proc(5), "/proc/pid/fd"). A socket cannot be opened; Node has set the flag on it
 * when it made `process.stdout`. A file needs none.
 */
function unblocked(fd: number): number {
  try {
    if (!isatty(fd) && !fstatSync(fd).isFIFO()) return fd
    return openSync(`/proc/self/fd/${fd}`, constants.O_WRONLY | constants.O_NONBLOCK | constants.O_NOCTTY)
  } catch {
    return fd
  }
}
