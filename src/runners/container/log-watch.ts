import { type FSWatcher, watch } from 'node:fs'
import { basename, dirname } from 'node:path'
import { setTimeout as delay, setImmediate as nextTurn } from 'node:timers/promises'

/** Without a word of the kernel a log is looked at this often; with one, too, for words get lost. */
const LOOK_MS = 250
const LOOK_WATCHED_MS = 2_000

/** Tells when something happens to a log. */
export class LogWatch {
  readonly #watcher: FSWatcher | null
  #wake = new AbortController()
  #isDue = false
  #renames = 0

  constructor(path: string) {
    const name = basename(path)
    this.#watcher = tryWatch(path, (event, changed) => {
      if (event === 'rename' && changed === name) this.#renames += 1
      this.#isDue = true
      this.#wake.abort()
    })
  }

  /** Resolves when there may be something new since the last call. @throws The signal's reason. */
  async changed(signal: AbortSignal): Promise<void> {
    if (!this.#isDue) {
      const ms = this.#watcher === null ? LOOK_MS : LOOK_WATCHED_MS
      const either = AbortSignal.any([signal, this.#wake.signal])
      await delay(ms, undefined, { signal: either }).catch(() => signal.throwIfAborted())
    }
    this.#isDue = false
    if (this.#wake.signal.aborted) this.#wake = new AbortController()
  }

  /** How often another file came to bear the name, up to now. */
  async renames(): Promise<number> {
    // What the kernel has told by now is known after one whole turn of the event loop; this one may be half over.
    await nextTurn()
    await nextTurn()
    return this.#renames
  }

  close(): void {
    this.#watcher?.close()
  }
}

function tryWatch(path: string, onChange: (event?: string, name?: string | null) => void): FSWatcher | null {
  try {
    // The directory: a file that is renamed would be watched under its new name.
    const watcher = watch(dirname(path), { persistent: false }, onChange)
    watcher.on('error', () => onChange())
    return watcher
  } catch {
    return null // no more watches, or the directory is gone: reading says so
  }
}
