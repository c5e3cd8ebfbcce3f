import type { Generation } from './dialect.ts'

export type SignalingState = 'off' | 'connecting' | 'registering' | 'registered' | 'waiting' | 'closed'

/** How signaling is doing; shown by GET /readyz, so nothing in it may be secret or come from the server. */
export interface SignalingStatus {
  readonly state: SignalingState
  /** The generation of the protocol that is spoken or tried; null = off. */
  readonly generation: Generation | null
  /** Since when it is in this state. */
  readonly since: string
  /** Requests being worked on. */
  readonly pending: number
  /** Results that the server has not confirmed to have. */
  readonly unsent: number
}
