import { type FileHandle, truncate } from 'node:fs/promises'
import { execa } from 'execa'

const BLOCK_BYTES = 4096
const RECLAIM_BYTES = 4 * 1024 * 1024
const PUNCH_LIMIT_MS = 10_000

/**
 * Gives the disk back what has been read of a file that a cocoon goes on writing. Holes keep its size and every offset
 * (fallocate(2), FALLOC_FL_PUNCH_HOLE), so nothing the cocoon writes meanwhile can be lost.
 */
export class Reclaimer {
  #tool: string | null
  #reclaimed = 0

  /** @param tool  util-linux's fallocate; null = there is none. */
  constructor(tool: string | null) {
    this.#tool = tool
  }

  /**
   * @param file  read up to `readTo`. It is reached through its descriptor: its path may be gone by now.
   * @returns the offset at which reading goes on: 0 if the file had to be emptied.
   */
  async reclaim(file: FileHandle, readTo: number): Promise<number> {
    const end = readTo - (readTo % BLOCK_BYTES)
    if (end - this.#reclaimed < RECLAIM_BYTES) return readTo
    const path = `/proc/${process.pid}/fd/${file.fd}`
    if (this.#tool !== null && (await punch(this.#tool, path, end))) {
      this.#reclaimed = end
      return readTo
    }
    this.#tool = null
    // Without holes only a file that was read to its end can be emptied, and what comes in between is lost.
    if ((await file.stat()).size !== readTo) return readTo
    await truncate(path)
    this.#reclaimed = 0
    return 0
  }
}

async function punch(tool: string, path: string, length: number): Promise<boolean> {
  const { exitCode } = await execa(tool, ['--punch-hole', '--offset', '0', '--length', String(length), path], {
    env: {},
    extendEnv: false,
    stdio: 'ignore',
    reject: false,
    verbose: 'none',
    timeout: PUNCH_LIMIT_MS,
  })
  return exitCode === 0
}
