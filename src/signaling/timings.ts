/** Durations of the signaling client in milliseconds; tests bring shorter ones. */
export interface SignalingTimings {
  /** For TCP, TLS and the upgrade together. */
  readonly handshakeMs: number
  /** From the registration to its confirmation. */
  readonly confirmMs: number
  /** Between pings: a dead link is found after two of these. */
  readonly pingMs: number
  /** The first and the longest wait before dialling again; the real one is drawn at random below it (full jitter). */
  readonly retryFirstMs: number
  readonly retryMostMs: number
  /** A registration that held this long was a good one: the next wait is short again. */
  readonly stableMs: number
  /** Between looks at what the registration says. */
  readonly kindsMs: number
  /** For the server's answer to our goodbye. */
  readonly closeMs: number
}

export const TIMINGS: SignalingTimings = {
  handshakeMs: 10_000,
  confirmMs: 10_000,
  pingMs: 25_000,
  retryFirstMs: 1_000,
  retryMostMs: 60_000,
  stableMs: 60_000,
  kindsMs: 5_000,
  closeMs: 1_000,
}
