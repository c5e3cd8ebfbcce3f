import type { IncomingMessage } from 'node:http'
import { LaunchRefused, type PrepareProgress, RunnerUnreachable } from '../driver.ts'
import { saysNoSuchCall } from './answers.ts'
import type { Engine } from './engine.ts'
import { JsonLines } from './json-lines.ts'
import { PullProgress, pullError } from './pull-progress.ts'
import { type Credentials, registryAuthHeader } from './registry-auth.ts'
import type { Timeouts } from './timeouts.ts'

export interface PullOrder {
  readonly image: string
  readonly credentials: Credentials
  readonly timeouts: Timeouts
}

/** Unpacking a large layer may be silent for this much longer than a download. */
const UNPACK_FACTOR = 10
const DENIED =
  /unauthorized|authentication required|no basic auth|denied|invalid username\/password|incorrect username/i
const ABSENT = /manifest unknown|not found|does not exist|name unknown|no such image/i
const DISK_FULL = /no space left on device/i

/**
 * Pulls an image. It is given up when nothing moves for the stall timeout, never because it is merely slow.
 * @throws LaunchRefused  there is no such image, or the registry refused the credentials.
 * @throws RunnerUnreachable  the engine or the registry does not answer, or stalls.
 */
export async function pullImage(
  engine: Engine,
  order: PullOrder,
  onProgress: (progress: PrepareProgress) => void,
  signal: AbortSignal,
): Promise<void> {
  const progress = new PullProgress(order.image)
  const watch = new StallWatch(order, signal)
  try {
    onProgress(progress.snapshot())
    const response = await engine.pull(order.image, registryAuthHeader(order.credentials), watch.signal)
    const failure = await follow(response, progress, (snapshot) => {
      watch.moved(progress.isUnpacking ? UNPACK_FACTOR : 1)
      onProgress(snapshot)
    })
    if (failure !== null) throw refusedPull(failure, order)
  } catch (error) {
    if (signal.aborted) throw signal.reason
    if (watch.fault !== null) throw new RunnerUnreachable(watch.fault)
    throw error
  } finally {
    watch.release()
  }
}

/** Reads the stream to its end. @returns the text of an error that came in it, or null. */
async function follow(
  response: IncomingMessage,
  progress: PullProgress,
  onChange: (snapshot: PrepareProgress) => void,
): Promise<string | null> {
  const lines = new JsonLines()
  let failure: string | null = null
  const read = (events: readonly unknown[]): void => {
    for (const event of events) {
      failure = pullError(event) ?? failure
      const snapshot = progress.add(event)
      if (snapshot !== null) onChange(snapshot)
      if ((response.statusCode ?? 0) >= 400)
        failure ??= String((event as { message?: unknown }).message ?? 'unknown fault')
    }
  }
  try {
    for await (const chunk of response) read(lines.push(chunk as Buffer))
    read(lines.end())
  } catch (error) {
    throw new RunnerUnreachable(`the engine broke off the pull: ${(error as Error).message}`, { cause: error })
  } finally {
    response.destroy()
  }
  if (failure === null && (response.statusCode ?? 0) >= 400) return `status ${response.statusCode}`
  return failure
}

function refusedPull(detail: string, { image, credentials }: PullOrder): Error {
  const text = detail.slice(0, 1_000)
  if (DENIED.test(text))
    return new LaunchRefused(`the registry refused to give ${image} (${text}): ${whichCredentials(credentials)}`)
  if (ABSENT.test(text) && !saysNoSuchCall(text)) return new LaunchRefused(`there is no image ${image}: ${text}`)
  if (DISK_FULL.test(text)) return new LaunchRefused(`the disk of the engine is full: ${text}`)
  return new RunnerUnreachable(`pulling ${image} failed: ${text}`)
}

function whichCredentials({ login, source, looked }: Credentials): string {
  if (login !== null) return `the credentials are from ${source}`
  return looked.length === 0
    ? 'there is no auth file: name one in HIVE_REGISTRY_AUTH_FILE'
    : `no credentials for it in ${looked.join(', ')}`
}

/** Aborts when nothing has moved for too long, and in any case after the total time. */
class StallWatch {
  readonly #abort = new AbortController()
  readonly #order: PullOrder
  readonly #total: NodeJS.Timeout
  readonly #caller: AbortSignal
  readonly #onAbort: () => void
  #stall: NodeJS.Timeout | undefined
  fault: string | null = null

  constructor(order: PullOrder, caller: AbortSignal) {
    this.#order = order
    this.#caller = caller
    this.#onAbort = () => this.#abort.abort(caller.reason)
    if (caller.aborted) this.#onAbort()
    caller.addEventListener('abort', this.#onAbort, { once: true })
    this.#total = setTimeout(() => this.#giveUp('took too long'), order.timeouts.pullTotalMs)
    this.moved(1)
  }

  get signal(): AbortSignal {
    return this.#abort.signal
  }

  moved(patience: number): void {
    clearTimeout(this.#stall)
    const ms = this.#order.timeouts.pullStallMs * patience
    this.#stall = setTimeout(() => this.#giveUp(`stalled: nothing moved for ${ms / 1_000} s`), ms)
  }

  release(): void {
    clearTimeout(this.#stall)
    clearTimeout(this.#total)
    this.#caller.removeEventListener('abort', this.#onAbort)
  }

  #giveUp(why: string): void {
    this.fault = `the pull of ${this.#order.image} ${why}`
    this.#abort.abort(new Error(this.fault))
  }
}
