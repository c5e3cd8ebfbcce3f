import { HiveError } from '../errors.ts'
import type { ServiceRecord, ServiceRow, ServiceState } from './state/record.ts'

/** Lists of services, page by page, oldest first. */

export interface ServiceFilter {
  readonly kind?: string | undefined
  readonly states?: readonly ServiceState[] | undefined
  readonly labels?: Readonly<Record<string, string>> | undefined
  readonly includeRemoved?: boolean | undefined
}

export interface Page {
  readonly services: ServiceRecord[]
  readonly nextCursor: string | null
}

export interface PageQuery {
  readonly filter: ServiceFilter
  readonly limit: number
  /** What the page before gave. */
  readonly cursor: string | null
}

/** @param sorted  all rows, by age. @throws HIVE_REQUEST_INVALID  the cursor is none of ours. */
export function pageOf(
  sorted: readonly ServiceRow[],
  query: PageQuery,
  present: (row: ServiceRow) => ServiceRecord,
): Page {
  const { filter, limit, cursor } = query
  const after = cursor === null ? '' : readCursor(cursor)
  const services: ServiceRecord[] = []
  let last: ServiceRow | null = null
  for (const row of sorted) {
    if (ageKey(row) <= after || !matches(row, filter)) continue
    if (services.length === limit && last) return { services, nextCursor: writeCursor(last) }
    services.push(present(row))
    last = row
  }
  return { services, nextCursor: null }
}

function ageKey(row: ServiceRow): string {
  return `${row.record.created_at} ${row.record.id}`
}

function writeCursor(last: ServiceRow): string {
  return Buffer.from(ageKey(last)).toString('base64url')
}

function readCursor(cursor: string): string {
  const key = Buffer.from(cursor, 'base64url').toString('latin1')
  if (/^\d{4}-\d\d-\d\dT[\d:.]+Z [\x21-\x7e]+$/.test(key)) return key
  throw new HiveError('HIVE_REQUEST_INVALID', 'cursor must be the next_cursor of the page before')
}

export function byAge(left: ServiceRow, right: ServiceRow): number {
  return ageKey(left) < ageKey(right) ? -1 : 1
}

function matches(row: ServiceRow, filter: ServiceFilter): boolean {
  const { kind, state, labels } = row.record
  if (state === 'removed' && filter.includeRemoved !== true) return false
  if (filter.kind !== undefined && kind !== filter.kind) return false
  if (filter.states && !filter.states.includes(state)) return false
  return Object.entries(filter.labels ?? {}).every(
    ([key, value]) => Object.hasOwn(labels, key) && labels[key] === value,
  )
}
