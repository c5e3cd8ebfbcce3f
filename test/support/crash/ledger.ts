import type { ServiceRecord } from '../../../src/services/state/record.ts'

export interface Asked {
  readonly requestId: string
  readonly name: string
}

/** What a client was told, and what it still does not know because the answer never came. */
export interface Ledger {
  /** Creates that were answered 2xx, by service id. */
  readonly created: Map<string, Asked>
  /** Creates whose answer was lost: they may or may not exist. */
  readonly unsure: Map<string, Asked>
  /** Creates that were refused: nothing of them may ever appear. */
  readonly refused: Map<string, Asked>
  /** Ids whose DELETE was answered 2xx: they must go, and stay gone. */
  readonly deleted: Set<string>
  /** The highest attempt and revision that was ever seen of an id. */
  readonly seen: Map<string, { readonly attempt: number; readonly revision: number }>
  /** Every word that must never be seen anywhere. */
  readonly secrets: Set<string>
}

export function newLedger(): Ledger {
  return {
    created: new Map(),
    unsure: new Map(),
    refused: new Map(),
    deleted: new Set(),
    seen: new Map(),
    secrets: new Set(),
  }
}

/** Notes a record that Hive showed. Answers may overtake each other: only the highest counts. */
export function noteSeen(ledger: Ledger, { id, attempt, revision }: ServiceRecord): void {
  const before = ledger.seen.get(id)
  if (before === undefined || revision > before.revision) ledger.seen.set(id, { attempt, revision })
}
