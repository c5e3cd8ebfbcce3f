import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import type { ServiceRow } from '../../../src/services/state/record.ts'

/** Rewrites the rows of a state directory. No Hive may run on it. */
export function rewriteRows(directory: string, change: (row: ServiceRow) => ServiceRow): void {
  const db = new DatabaseSync(join(directory, 'hive.db'))
  try {
    for (const { id, body } of db.prepare('SELECT id, body FROM services').all() as unknown as Stored[]) {
      const changed = JSON.stringify(change(JSON.parse(body) as ServiceRow))
      db.prepare('UPDATE services SET body = ? WHERE id = ?').run(changed, id)
    }
  } finally {
    db.close()
  }
}

interface Stored {
  readonly id: string
  readonly body: string
}

/** The row as it was while the launch was being prepared: no ports, no handle. As if its last writes were lost. */
export function beforeLaunch(row: ServiceRow): ServiceRow {
  const record = { ...row.record, state: 'preparing', ready: false, pid: null, ports: [], started_at: null } as const
  return { ...row, record, leases: [], handle: null, launchedAttempt: 0, mayExist: false, endpoint: null }
}
