import { type FSWatcher, readFileSync, watch } from 'node:fs'
import { join } from 'node:path'
import { readProc, readStat } from '../script/identity.ts'
import type { Engine } from './engine.ts'

/**
 * Podman learns of an end from conmon, the monitor that each container has, which writes the exit code to a file of the
 * container's id (conmon(8), `--exit-dir`). Hive looks there, too: Podman (4.3) answers a wait up to a second later, and
 * nothing at all while it cleans up, which took 12 s on a busy machine.
 */

/** Where the monitor of a running container will write; null = none is found, as where this is not Podman or Linux. */
export function exitDirectory({ facts }: Pick<Engine, 'facts'>, id: string, pid: number | null): string | null {
  if (facts.flavour !== 'podman' || !facts.isLocal || pid === null) return null
  const parent = readStat(pid)?.parent ?? 0
  const argv = (readProc(parent, 'cmdline') ?? '').split('\0')
  const at = argv.indexOf('--exit-dir')
  return at !== -1 && argv.includes(id) ? (argv[at + 1] ?? null) : null
}

interface Watched {
  readonly watcher: FSWatcher
  readonly waiting: Set<(name: string | null) => void>
}

/** One look-out for each directory, however many containers are waited for. */
export class ExitFiles {
  readonly #watched = new Map<string, Watched>()

  /**
   * Calls back once with the exit code as soon as it is there; null = it was, and is gone, as with the container if that
   * is removed by force. @returns a function that lets go.
   */
  onExit(directory: string, id: string, callback: (code: number | null) => void): () => void {
    const look = (name: string | null): void => {
      const code = readCode(join(directory, id))
      if (code === null && name !== id) return
      release()
      callback(code)
    }
    const watched = this.#watch(directory)
    const release = (): void => {
      if (watched?.waiting.delete(look) && watched.waiting.size === 0) this.#forget(directory, watched)
    }
    watched?.waiting.add(look)
    look(null)
    return release
  }

  close(): void {
    for (const [directory, watched] of this.#watched) this.#forget(directory, watched)
  }

  /** null = it cannot be watched: the engine's word has to do. */
  #watch(directory: string): Watched | null {
    const known = this.#watched.get(directory)
    if (known !== undefined) return known
    try {
      const waiting: Watched['waiting'] = new Set()
      const watcher = watch(directory, { persistent: false }, (_event, name) => {
        for (const look of [...waiting]) look(name)
      })
      const watched = { watcher, waiting }
      watcher.on('error', () => this.#forget(directory, watched))
      this.#watched.set(directory, watched)
      return watched
    } catch {
      return null
    }
  }

  #forget(directory: string, watched: Watched): void {
    watched.watcher.close()
    if (this.#watched.get(directory) === watched) this.#watched.delete(directory)
  }
}

function readCode(path: string): number | null {
  try {
    const text = readFileSync(path, 'latin1').trim()
    return /^\d{1,3}$/.test(text) ? Number(text) : null
  } catch {
    return null // not yet
  }
}
