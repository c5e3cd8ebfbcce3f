/** Every limit of the data plane, in milliseconds unless the name says otherwise. Tests give shorter ones. */
export interface ProxyLimits {
  /** From dialling to an open connection. */
  readonly connectMs: number
  /** From the last byte of the request to the first of the answer. */
  readonly headersMs: number
  /** Without progress in an answer's body, or while the cocoon takes nothing of an upload. */
  readonly bodyIdleMs: number
  /** Without a byte from the client in the middle of its upload. */
  readonly uploadIdleMs: number
  /** How long the rest of an upload is read and thrown away after an early answer. */
  readonly lingerMs: number
  /** Without a byte in either direction of a tunnel. */
  readonly tunnelIdleMs: number
  /** How long a tunnel may stay half closed. */
  readonly tunnelLingerMs: number
  /** Between TCP keep-alive probes of tunnels. */
  readonly tcpKeepAliveMs: number
  /** An idle connection to a cocoon that names no limit of its own; below Node's 5 s, so that Hive closes first. */
  readonly poolIdleMs: number
  /** How long a request for a sleeping cocoon is held; a browser's navigation gets a page that asks again earlier. */
  readonly wakeMs: number
  readonly wakePageMs: number
  /** What running exchanges get when Hive shuts down. */
  readonly drainMs: number
  /** All fields of a cocoon's answer together, in bytes. */
  readonly maxHeaderBytes: number
  /** Requests of one cocoon under way at the same time, answers that still stream included. */
  readonly maxRequests: number
  /** Its tunnels, upgrades under way included. */
  readonly maxTunnels: number
}

export const PROXY_LIMITS: ProxyLimits = Object.freeze({
  connectMs: 2_000,
  headersMs: 60_000,
  bodyIdleMs: 300_000,
  uploadIdleMs: 60_000,
  lingerMs: 10_000,
  tunnelIdleMs: 3_600_000,
  tunnelLingerMs: 60_000,
  tcpKeepAliveMs: 30_000,
  poolIdleMs: 4_000,
  wakeMs: 60_000,
  wakePageMs: 2_000,
  drainMs: 10_000,
  maxHeaderBytes: 32_768,
  maxRequests: 256,
  maxTunnels: 10_000,
})
