/** Told of everything that passes for one kind. Called for every request and every chunk: it must be quick. */
export interface TrafficMeter {
  /**
   * A request has its answer, from the cocoon or from Hive in its place.
   *
   * @param status  0 = its client left before there was one.
   * @param ms  from its arrival to the head of the answer.
   */
  answered(status: number, ms: number): void
  /** Bytes of bodies and tunnels from clients to cocoons. */
  received(bytes: number): void
  /** The same from cocoons to clients. */
  sent(bytes: number): void
  tunnelOpened(): void
  tunnelClosed(): void
}

/** Who counts. The proxy knows no more of it. */
export interface Traffic {
  /** @param kind  null = the request reached no cocoon, so there is no kind. */
  of(kind: string | null): TrafficMeter
}

const NOTHING: TrafficMeter = {
  answered: () => undefined,
  received: () => undefined,
  sent: () => undefined,
  tunnelOpened: () => undefined,
  tunnelClosed: () => undefined,
}

/** Nobody counts. */
export const UNMETERED: Traffic = { of: () => NOTHING }
