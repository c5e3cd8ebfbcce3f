import type { Logger } from 'pino'

/** Logs what a peer does wrong on its 1st, 10th, 100th … time, so that a flood of nonsense does not fill the disk. */
export class FaultLog {
  readonly #log: Logger
  readonly #counts = new Map<string, number>()

  constructor(log: Logger) {
    this.#log = log
  }

  /** @param detail  for the log line only; it does not tell one fault from another. */
  note(fault: string, detail: Readonly<Record<string, unknown>> = {}): void {
    const count = (this.#counts.get(fault) ?? 0) + 1
    this.#counts.set(fault, count)
    if (/^10*$/.test(String(count))) this.#log.warn({ ...detail, count }, `signaling: ignored ${fault}`)
  }
}
