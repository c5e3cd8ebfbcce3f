import type { DatabaseSync } from 'node:sqlite'

/** What leads from each format to the next; format 0 is an empty file. Never changed once released, only added to. */
const MIGRATIONS: readonly string[] = [
  `CREATE TABLE services (
      id TEXT PRIMARY KEY, name TEXT NOT NULL, live INTEGER NOT NULL, request_id TEXT NOT NULL,
      body TEXT NOT NULL, sealed BLOB
    ) STRICT, WITHOUT ROWID;
    CREATE UNIQUE INDEX one_live_service_per_name ON services (name) WHERE live = 1;
    CREATE UNIQUE INDEX one_service_per_request ON services (request_id);`,
  `CREATE TABLE documents (
      collection TEXT NOT NULL, key TEXT NOT NULL, body TEXT NOT NULL, PRIMARY KEY (collection, key)
    ) STRICT, WITHOUT ROWID;`,
  // AUTOINCREMENT: a number is never used again, whatever was pruned (sqlite.org/autoinc.html).
  `CREATE TABLE events (
      seq INTEGER PRIMARY KEY AUTOINCREMENT, at TEXT NOT NULL, service TEXT, body TEXT NOT NULL
    ) STRICT;
    CREATE INDEX events_of_a_service ON events (service, seq);
    CREATE INDEX events_by_time ON events (at);`,
]

/** The format this Hive writes; kept in the file as `user_version`. */
export const SCHEMA_VERSION = MIGRATIONS.length

/** Brings a file of an older format to this one, all steps in one transaction: a crash leaves the old or the new. */
export function migrate(db: DatabaseSync, version: number): void {
  if (version === SCHEMA_VERSION) return
  db.exec('BEGIN IMMEDIATE')
  try {
    for (const step of MIGRATIONS.slice(version)) db.exec(step)
    db.exec(`PRAGMA user_version = ${SCHEMA_VERSION}`)
    db.exec('COMMIT')
  } catch (error) {
    if (db.isTransaction) db.exec('ROLLBACK')
    throw error
  }
}
