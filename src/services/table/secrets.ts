import type { Logger } from 'pino'
import { HiveError, isHiveError } from '../../errors.ts'
import type { ServiceRow } from '../state/record.ts'
import type { ServiceSecrets, Vault } from './vault.ts'

/**
 * What a launch of this service needs to know.
 * @throws HIVE_SECRETS_LOST  the key is another one, or the row was re-made without them.
 */
export function openSecrets(vault: Vault, { record, sealed }: ServiceRow): ServiceSecrets {
  if (sealed === null)
    throw new HiveError('HIVE_SECRETS_LOST', 'its record was re-made without its secrets: spawn it again')
  return vault.open(record.id, sealed)
}

/** Says once, at the start, that services cannot be launched again, so that nobody learns it from a failed restart. */
export function sayLostSecrets(vault: Vault, rows: readonly ServiceRow[], log: Logger): void {
  const lost = rows.filter((row) => row.record.state !== 'removed' && !canOpen(vault, row))
  if (lost.length === 0) return
  const services = lost.slice(0, 20).map(({ record }) => record.name)
  log.warn(
    { services, count: lost.length },
    'with this key the secrets of these services cannot be read: they run on, but cannot be started again; put the old key back, or spawn them again',
  )
}

/** Whether this service could be launched again. */
export function canOpen(vault: Vault, row: ServiceRow): boolean {
  try {
    openSecrets(vault, row)
    return true
  } catch (error) {
    if (isHiveError(error, 'HIVE_SECRETS_LOST')) return false
    throw error
  }
}
