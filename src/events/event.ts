import { isDeepStrictEqual } from 'node:util'
import type { ServiceProgress, ServiceRecord, ServiceRow } from '../services/state/record.ts'
import type { NewEventRow } from '../services/table/event-rows.ts'

export const EVENT_TYPES = [
  'state',
  'intent',
  'health',
  'pull',
  'restart',
  'exit',
  'uses',
  'config',
  'signaling',
] as const
export type EventType = (typeof EVENT_TYPES)[number]

/** Something that happened, as it goes over the wire; `seq` grows and is never used twice. */
export interface HiveEvent {
  readonly seq: number
  readonly at: string
  readonly type: EventType
  /** Null = it is about Hive itself. */
  readonly service: EventSubject | null
  readonly data: Readonly<Record<string, unknown>>
}

export interface EventSubject {
  readonly id: string
  readonly name: string
  readonly kind: string
  readonly attempt: number
}

/** What a durable change of a row says to others. `previous` null = it is new. */
export function eventsOfChange(previous: ServiceRow | null, row: ServiceRow, at: string): readonly NewEventRow[] {
  const before = previous?.record ?? null
  const now = row.record
  const isOther = before === null || before.attempt !== now.attempt
  const found: [EventType, Record<string, unknown>][] = []
  if (before && before.desired !== now.desired)
    found.push(['intent', { desired: now.desired, by: row.intent.by, reason: row.intent.reason }])
  if (isOther || before.state !== now.state)
    found.push(['state', { state: now.state, previous: before?.state ?? null, error: now.error }])
  if (!isOther && before.health !== now.health) found.push(['health', { health: now.health, previous: before.health }])
  if (now.exit !== null && (isOther || before.exit === null)) found.push(['exit', { ...now.exit }])
  if (now.next_attempt_at !== null && before?.next_attempt_at !== now.next_attempt_at)
    found.push(['restart', { next_attempt_at: now.next_attempt_at, attempt: now.attempt + 1 }])
  if (hasOtherUses(before, now)) found.push(['uses', { uses: now.uses }])
  return found.map(([type, data]) => encodeEvent(type, { row, data, at }))
}

function hasOtherUses(before: ServiceRecord | null, now: ServiceRecord): boolean {
  return now.uses !== undefined && !isDeepStrictEqual(now.uses, before?.uses)
}

export function pullEvent(row: ServiceRow, progress: ServiceProgress, at: string): NewEventRow {
  return encodeEvent('pull', { row, data: { ...progress }, at })
}

export function configEvent(warning: string, at: string): NewEventRow {
  return encodeEvent('config', { row: null, data: { warning }, at })
}

/** What became of the link to the signaling server; nothing in it comes from there. */
export function signalingEvent(state: string, at: string): NewEventRow {
  return encodeEvent('signaling', { row: null, data: { state }, at })
}

interface Said {
  readonly row: ServiceRow | null
  readonly data: Readonly<Record<string, unknown>>
  readonly at: string
}

function encodeEvent(type: EventType, { row, data, at }: Said): NewEventRow {
  const service = row === null ? null : subjectOf(row)
  return { at, service: row?.record.id ?? null, body: JSON.stringify({ type, service, data }) }
}

function subjectOf({ record: { id, name, kind, attempt } }: ServiceRow): EventSubject {
  return { id, name, kind, attempt }
}
