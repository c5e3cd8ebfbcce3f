import { dirname } from 'node:path'
import type { OutputBatch, OutputPiece } from '../driver.ts'
import { closeAll, type FilePlace, inodeOf, type LogFile, openAll } from './log-files.ts'
import type { LogFormat } from './log-formats.ts'
import { LogWatch } from './log-watch.ts'

export interface LogSource {
  readonly container: string
  /** The file that the engine writes. */
  readonly path: string
  readonly format: LogFormat
}

export interface FileQuery {
  readonly place: FilePlace | null
  readonly follow: boolean
}

const LOST: OutputPiece = { stream: 'stdout', bytes: new Uint8Array(), partial: false, time: null, lost: 0 }

/**
 * What a container wrote, from the files in which its engine keeps it. Engines lose lines for those who follow a log
 * that turns over: Docker (20.10) passes over files it comes late to, Podman (4.3) over what it has not read of the
 * last one, and neither says so. A file that is held open is read to its end, whatever becomes of its name.
 *
 * @returns null if the files are not there, or not for this user.
 */
export async function readLogFiles(
  source: LogSource,
  query: FileQuery,
  signal: AbortSignal,
): Promise<AsyncGenerator<OutputBatch> | null> {
  const watch = new LogWatch(source.path)
  const files = await openAll(source.path, source.format).catch(() => null)
  // A log is begun with its container's first run, in a directory that is there before.
  const isThere = files !== null && (files.length > 0 || (await inodeOf(dirname(source.path))) !== null)
  if (isThere) return new Reader(source, watch, files).read(query, signal)
  watch.close()
  return null
}

class Reader {
  readonly #source: LogSource
  readonly #watch: LogWatch
  /** The one that is read, and those after it. */
  #files: readonly LogFile[]
  #offset = 0
  #isLoss = false
  #generation = 0

  constructor(source: LogSource, watch: LogWatch, files: readonly LogFile[]) {
    this.#source = source
    this.#watch = watch
    this.#files = files
  }

  async *read({ place, follow }: FileQuery, signal: AbortSignal): AsyncGenerator<OutputBatch> {
    try {
      await this.#count()
      if (place !== null) await this.#goTo(place)
      for (;;) {
        for (;;) {
          signal.throwIfAborted()
          const batch = await this.#next()
          if (batch === null) break
          yield batch
        }
        if (await this.#turnOver()) continue
        if (!follow || (await this.#isRemoved())) return
        await this.#watch.changed(signal)
      }
    } finally {
      this.#watch.close()
      await closeAll(this.#files)
    }
  }

  /** What is not there any more was dropped by the engine, and maybe some after it. */
  async #goTo(place: FilePlace): Promise<void> {
    const at = this.#files.findIndex((file) => file.isAt(place))
    this.#isLoss = at === -1
    this.#offset = at === -1 ? 0 : place.offset
    await closeAll(this.#files.slice(0, Math.max(0, at)))
    this.#files = this.#files.slice(Math.max(0, at))
  }

  /** null = nothing more in this file, for now. */
  async #next(): Promise<OutputBatch | null> {
    const [file] = this.#files
    if (file === undefined) return null
    const lines = await file.lines(this.#offset)
    if (lines.length === 0) return this.#noticeCut(file)
    const pieces = this.#isLoss ? [LOST] : []
    for (const line of lines) {
      const record = this.#source.format.read(line.subarray(0, -1))
      if (record === null) pieces.push(LOST)
      else {
        file.began(record.stamp)
        pieces.push(...record.pieces)
      }
      this.#offset += line.length
    }
    this.#isLoss = false
    return { pieces, position: JSON.stringify({ container: this.#source.container, ...file.place(this.#offset) }) }
  }

  /** Somebody has emptied it: it begins again. */
  async #noticeCut(file: LogFile): Promise<OutputBatch | null> {
    if ((await file.size()) >= this.#offset) return null
    this.#offset = 0
    this.#isLoss = true
    return this.#next()
  }

  /** Goes on to the file after one that is at its end. @returns false if there is none. */
  async #turnOver(): Promise<boolean> {
    const [file, ...later] = this.#files
    if (file === undefined) return false
    if (later.length === 0 && !(await this.#hasNewFile(file))) return false
    // It may have been written to between its last reading and the turn-over.
    if ((await file.lines(this.#offset)).length > 0) return true
    if (later.length > 0) {
      await file.close()
      this.#files = later
    } else await this.#openLater(file)
    this.#offset = 0
    return true
  }

  async #hasNewFile({ inode }: LogFile): Promise<boolean> {
    const now = await inodeOf(this.#source.path)
    return now !== null && now !== inode
  }

  async #openLater(file: LogFile): Promise<void> {
    const all = await openAll(this.#source.path, this.#source.format)
    const at = all.findIndex(({ inode }) => inode === file.inode)
    await closeAll([file, ...all.slice(0, at + 1)])
    this.#files = all.slice(at + 1)
    const before = this.#generation
    await this.#count()
    const isOnly = this.#source.format.names(this.#source.path).length === 1
    this.#isLoss = isOnly ? this.#generation > before + 1 : at === -1
  }

  /** Where an engine keeps one file only, the turn-overs tell whether one came and went unread. */
  async #count(): Promise<void> {
    for (let before = await this.#watch.renames(); ; ) {
      const isCurrent = (await inodeOf(this.#source.path)) === this.#files.at(-1)?.inode
      const renames = await this.#watch.renames()
      this.#generation = isCurrent ? renames : renames - 1
      // A turn-over between the two looks would be one too many, or one too few.
      if (renames === before) return
      before = renames
    }
  }

  async #isRemoved(): Promise<boolean> {
    const inodes = await Promise.all(this.#source.format.names(this.#source.path).map(inodeOf))
    return inodes.every((inode) => inode === null)
  }
}
