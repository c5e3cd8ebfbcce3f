import { type FileHandle, mkdir, open, rm, stat } from 'node:fs/promises'
import type { OutputBatch, OutputPiece } from '../runners/driver.ts'
import { encodeLine } from './log-line.ts'
import { encodePosition, type LogEnd, listSegments, recoverEnd, segmentAt } from './segments.ts'

export interface LogLimits {
  /** Bytes after which the next file is begun. */
  readonly segmentBytes: number
  /** Files kept, the one being written included. */
  readonly segments: number
}

export const LOG_LIMITS: LogLimits = { segmentBytes: 10 * 1024 * 1024, segments: 3 }

/** The log of one service: one writer, any number of readers, who see whole batches only. */
export class ServiceLog {
  readonly directory: string
  readonly #limits: LogLimits
  readonly #listeners = new Set<() => void>()
  #end: LogEnd
  #file: FileHandle | null = null

  private constructor(directory: string, limits: LogLimits, end: LogEnd) {
    this.directory = directory
    this.#limits = limits
    this.#end = end
  }

  /** Opens or begins the log in a directory. Not twice at a time: it mends what a crash has left. */
  static async open(directory: string, limits: LogLimits = LOG_LIMITS): Promise<ServiceLog> {
    return new ServiceLog(directory, limits, await recoverEnd(directory))
  }

  /** 0 = there is no line yet. */
  get lastSeq(): number {
    return this.#end.lastSeq
  }

  /** Where in the runner's output to go on. */
  get position(): string | null {
    return this.#end.position
  }

  /** Resolves when the batch is in the file. After an error open the log anew. */
  async append({ pieces, position }: OutputBatch, now: string): Promise<void> {
    const lost = await this.#leaveIfGone()
    let seq = this.#end.lastSeq
    const file = await this.#writable()
    const lines = [...lost, ...pieces].map((piece) => encodeLine(piece, ++seq, now))
    const bytes = Buffer.from([...lines, encodePosition(position), ''].join('\n'))
    await file.appendFile(bytes)
    this.#end = { ...this.#end, lastSeq: seq, position, bytes: this.#end.bytes + bytes.length }
    for (const listener of this.#listeners) listener()
  }

  onAppend(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  get listeners(): number {
    return this.#listeners.size
  }

  async close(): Promise<void> {
    const file = this.#file
    this.#file = null
    await file?.close()
  }

  /**
   * Somebody may have removed the file behind Hive's back: what is written to it then is lost without a word.
   * @returns what stands for the lines it held; they are followed by a new file.
   */
  async #leaveIfGone(): Promise<readonly OutputPiece[]> {
    const { segment } = this.#end
    if (segment === null) return []
    const [there, held] = await Promise.all([inodeOf(segment.path), this.#file?.stat()])
    if (there !== null && (held === undefined || held.ino === there)) return []
    await this.close()
    this.#end = { ...this.#end, segment: null, bytes: 0 }
    return [{ stream: 'stdout', bytes: new Uint8Array(), partial: false, time: null, lost: 0 }]
  }

  async #writable(): Promise<FileHandle> {
    const { segment, bytes, position, lastSeq } = this.#end
    if (segment !== null && bytes < this.#limits.segmentBytes) {
      this.#file ??= await open(segment.path, 'a', 0o600)
      return this.#file
    }
    await this.close()
    await mkdir(this.directory, { recursive: true, mode: 0o700 })
    const next = segmentAt(this.directory, lastSeq + 1)
    const file = await open(next.path, 'a', 0o600)
    this.#file = file
    this.#end = { ...this.#end, segment: next, bytes: 0 }
    if (position !== null) {
      const head = Buffer.from(`${encodePosition(position)}\n`)
      await file.appendFile(head)
      this.#end = { ...this.#end, bytes: head.length }
    }
    await this.#dropOldest()
    return file
  }

  async #dropOldest(): Promise<void> {
    const segments = await listSegments(this.directory)
    for (const { path } of segments.slice(0, Math.max(0, segments.length - this.#limits.segments)))
      await rm(path, { force: true })
  }
}

async function inodeOf(path: string): Promise<number | null> {
  return stat(path).then(
    ({ ino }) => ino,
    () => null, // gone, or out of reach
  )
}
