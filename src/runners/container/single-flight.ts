interface Flight<Progress> {
  readonly abort: AbortController
  readonly listeners: Set<(progress: Progress) => void>
  readonly landed: Promise<void>
  last: Progress | null
}

/**
 * One run of a job for all who want the same at the same time. It ends early only when the last of them has left, and
 * late comers learn at once how far it is.
 */
export class SingleFlight<Progress> {
  readonly #flights = new Map<string, Flight<Progress>>()

  async join(
    key: string,
    job: (onProgress: (progress: Progress) => void, signal: AbortSignal) => Promise<void>,
    onProgress: (progress: Progress) => void,
    signal: AbortSignal,
  ): Promise<void> {
    signal.throwIfAborted()
    const flight = this.#flights.get(key) ?? this.#takeOff(key, job)
    // An own function for each, so that the same callback may join twice.
    const listener = (progress: Progress): void => onProgress(progress)
    flight.listeners.add(listener)
    if (flight.last !== null) onProgress(flight.last)
    try {
      await untilAborted(flight.landed, signal)
    } finally {
      flight.listeners.delete(listener)
      if (flight.listeners.size === 0) this.#end(key, flight)
    }
  }

  /** Ends all. */
  close(): void {
    for (const [key, flight] of this.#flights) this.#end(key, flight)
  }

  #takeOff(key: string, job: Parameters<SingleFlight<Progress>['join']>[1]): Flight<Progress> {
    const abort = new AbortController()
    const report = (progress: Progress): void => {
      flight.last = progress
      for (const listener of flight.listeners) listener(progress)
    }
    const landed = Promise.resolve().then(() => job(report, abort.signal))
    const flight: Flight<Progress> = { abort, listeners: new Set(), landed, last: null }
    // Everybody may have left when it fails.
    landed.catch(() => {}).finally(() => this.#forget(key, flight))
    this.#flights.set(key, flight)
    return flight
  }

  #end(key: string, flight: Flight<Progress>): void {
    this.#forget(key, flight)
    flight.abort.abort(new Error('nobody waits for it any more'))
  }

  #forget(key: string, flight: Flight<Progress>): void {
    if (this.#flights.get(key) === flight) this.#flights.delete(key)
  }
}

function untilAborted(promise: Promise<void>, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(signal.reason)
    signal.addEventListener('abort', onAbort, { once: true })
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort))
  })
}
