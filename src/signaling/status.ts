import type { Generation } from './dialect.ts'

export const SIGNALING_STATES = ['off', 'connecting', 'registering', 'registered', 'waiting', 'closed'] as const
export type SignalingState = (typeof SIGNALING_STATES)[number]

/** How signaling is doing; shown by GET /readyz, so nothing in it may be secret or come from the server. */
export interface SignalingStatus {
  readonly state: SignalingState
  /** The generation of the protocol that is spoken or tried; null = off. */
  readonly generation: Generation | null
  /** Since when it is in this state; null = off. */
  readonly since: string | null
  /** Requests being worked on. */
  readonly pending: number
  /** Results that the server has not confirmed to have. */
  readonly unsent: number
}

export const SIGNALING_OFF: SignalingStatus = { state: 'off', generation: null, since: null, pending: 0, unsent: 0 }
