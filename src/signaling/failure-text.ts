import { HiveError } from '../errors.ts'
import type { ServiceRow } from '../services/state/record.ts'
import { shown } from './frame.ts'

/** The `error` texts of failed results, as clients of the protocol know them. None holds a secret. */

export function unknownContainer(target: string): string {
  return `container not found: ${shown(target)}`
}

/** Why a spawn was refused before there was a service. @param maxCocoons  HIVE_MAX_COCOONS */
export function refusedSpawn(error: unknown, kind: string, maxCocoons: number): string {
  if (!(error instanceof HiveError)) return `create service failed: ${INTERNAL}`
  if (error.code === 'HIVE_KIND_UNKNOWN') return `unknown cocoon kind: ${shown(kind)}`
  if (error.code === 'HIVE_CAPACITY') return `concurrency limit reached (max ${maxCocoons})`
  const fields = error.fields.map(({ pointer, detail }) => `${pointer} ${detail}`)
  return `create service failed: ${fields.length > 0 ? fields.join(', ') : describe(error)}`
}

/** Why a service ended without ever having run. */
export function failedStart({ record }: ServiceRow): string {
  const { error, exit, state } = record
  if (error !== null) return `start service failed: ${error.detail}`
  if (state === 'stopped' || state === 'removed')
    return 'start service failed: it was stopped or removed before it was running'
  return `start service failed: ${exit === null ? state : `it ended with code ${exit.code} (${exit.reason})`}`
}

export function failedDelete(error: unknown): string {
  return `delete service failed: ${error instanceof HiveError ? describe(error) : INTERNAL}`
}

const INTERNAL = 'something went wrong inside Hive, its log says more'

function describe({ title, message }: HiveError): string {
  return message === '' ? title : `${title}: ${message}`
}
