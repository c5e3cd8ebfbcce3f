import { type FileHandle, open, stat } from 'node:fs/promises'
import type { LogFormat } from './log-formats.ts'

const CHUNK_BYTES = 65_536
/** Engines cut lines at 16 KB; escaped as JSON they are some times as long. */
const MAX_LINE_BYTES = 1_048_576
const LINE_FEED = 0x0a
/** So often the files are opened again if a turn-over came in between. */
const TRIES = 10

/** Where a reader is. */
export interface FilePlace {
  readonly inode: number
  /** The time that its first record bears: inodes are used again. Empty = it has no record yet. */
  readonly head: string
  readonly offset: number
}

/** One file of a log, held open: what it is renamed to, or that it is removed, does not matter. */
export class LogFile {
  readonly inode: number
  readonly #handle: FileHandle
  #head: string

  private constructor(handle: FileHandle, inode: number, head: string) {
    this.#handle = handle
    this.inode = inode
    this.#head = head
  }

  /** null = there is none. @throws NodeJS.ErrnoException */
  static async open(path: string, format: LogFormat): Promise<LogFile | null> {
    const handle = await open(path).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return null
      throw error
    })
    if (handle === null) return null
    try {
      const file = new LogFile(handle, (await handle.stat()).ino, '')
      const [first] = await file.lines(0)
      file.#head = (first && format.read(first)?.stamp) ?? ''
      return file
    } catch (error) {
      await handle.close()
      throw error
    }
  }

  place(offset: number): FilePlace {
    return { inode: this.inode, head: this.#head, offset }
  }

  isAt({ inode, head }: FilePlace): boolean {
    return this.inode === inode && (head === '' || head === this.#head)
  }

  /** A file that was empty when it was opened gets its head from the first record that is read. */
  began(stamp: string): void {
    if (this.#head === '') this.#head = stamp
  }

  /** Bytes it has now; fewer than were read = somebody has cut it. */
  async size(): Promise<number> {
    return (await this.#handle.stat()).size
  }

  /** Whole lines from there on, with their line feeds; none = at the end, for now. */
  async lines(offset: number): Promise<readonly Buffer[]> {
    for (let size = CHUNK_BYTES; ; size *= 4) {
      const { buffer, bytesRead } = await this.#handle.read(Buffer.allocUnsafe(size), 0, size, offset)
      const lines = wholeLines(buffer.subarray(0, bytesRead))
      if (lines.length > 0 || bytesRead < size) return lines
      if (size > MAX_LINE_BYTES) throw new Error('the engine keeps a line without an end')
    }
  }

  close(): Promise<void> {
    return this.#handle.close()
  }
}

function wholeLines(bytes: Buffer): readonly Buffer[] {
  const lines: Buffer[] = []
  for (let start = 0; ; ) {
    const feed = bytes.indexOf(LINE_FEED, start)
    if (feed === -1) return lines
    lines.push(bytes.subarray(start, feed + 1))
    start = feed + 1
  }
}

/** All files of a log as they stood at one moment, the oldest first. @throws NodeJS.ErrnoException */
export async function openAll(path: string, format: LogFormat): Promise<readonly LogFile[]> {
  for (let left = TRIES; ; left--) {
    const paths = format.names(path)
    const before = await Promise.all(paths.map(inodeOf))
    const files: LogFile[] = []
    for (const each of paths) {
      const file = await LogFile.open(each, format)
      if (file !== null) files.push(file)
    }
    const expected = before.filter((inode) => inode !== null)
    const isSame = files.map(({ inode }) => inode).join() === expected.join()
    if (isSame || left === 0) return files
    await closeAll(files)
  }
}

export async function closeAll(files: readonly LogFile[]): Promise<void> {
  for (const file of files) await file.close()
}

/** null = there is none. */
export async function inodeOf(path: string): Promise<number | null> {
  try {
    return (await stat(path)).ino
  } catch {
    return null
  }
}
