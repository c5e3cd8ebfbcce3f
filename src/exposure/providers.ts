import { timingSafeEqual } from 'node:crypto'
import type { RelayTarget } from '../relay/relay.ts'
import type { ServiceRow } from '../services/state/record.ts'
import { isHopeless } from '../services/waiting.ts'

/** Which cocoon provides an exposed name. Pure: rows in, an answer out. */

/** What a consumer asks for. */
export interface Wish {
  readonly name: string
  /** HMAC of the secret it gives; null = it gives none. */
  readonly proof: string | null
  /** Id of the service it has it from so far; null = from nobody. */
  readonly current: string | null
}

export type Found =
  | { readonly type: 'found'; readonly provider: ServiceRow; readonly address: RelayTarget }
  /** `asleep`: ids of those that would come if they were woken. */
  | { readonly type: 'waits'; readonly why: string; readonly asleep: readonly string[] }
  | { readonly type: 'refused'; readonly why: string }

/**
 * The provider for a wish. Only one that runs, is healthy, has an address and asks for this very secret will do. Whoever
 * provides it already goes on doing so while it can; else the oldest does, by `created_at`, then id. So a further
 * provider that comes up moves nobody.
 *
 * @returns `refused` if all that could provide it ask for another secret, `waits` if somebody who fits may still come.
 */
export function findProvider(wish: Wish, rows: Iterable<ServiceRow>): Found {
  const exposers = [...rows].filter((row) => exposedName(row) === wish.name).sort(byAge)
  const fitting = exposers.filter((row) => sameProof(row.proofs?.expose ?? null, wish.proof))
  const usable = fitting.flatMap((provider) => {
    const address = addressOf(provider)
    return address ? [{ type: 'found' as const, provider, address }] : []
  })
  const found = usable.find(({ provider }) => provider.record.id === wish.current) ?? usable[0]
  if (found) return found
  const mayCome = fitting.filter(isComing)
  const stranger = exposers.find((row) => !fitting.includes(row) && isComing(row))
  if (mayCome.length === 0 && stranger) return { type: 'refused', why: whyRefused(wish, stranger) }
  return { type: 'waits', why: whyWaiting(wish, mayCome[0] ?? fitting.at(-1)), asleep: idsAsleep(fitting) }
}

/** The name a service exposes; null = none, or it is removed, or what it asks for and gives is lost (a re-made row). */
export function exposedName({ config, sealed }: ServiceRow): string | null {
  // A row of an earlier version does not say.
  return sealed === null ? null : (config.expose?.name ?? null)
}

/** Where a provider is reached on this machine; null = it is not running, not healthy, or has no port. */
export function addressOf({ record, endpoint, targetAttempt }: ServiceRow): RelayTarget | null {
  const { state, desired, ready, health, attempt } = record
  const runs = state === 'running' && desired === 'running' && ready && targetAttempt <= attempt
  if (!runs || (health !== 'passing' && health !== 'none') || endpoint === null) return null
  return { host: endpoint.host, port: endpoint.port }
}

/** True unless it has ended and nothing of its own accord brings it back: then others may take its place. */
export function isComing(row: ServiceRow): boolean {
  return row.record.desired === 'running' && !isHopeless(row)
}

/** Equal secrets, told in the same time wherever they differ. A secret on one side only is a difference. */
export function sameProof(left: string | null, right: string | null): boolean {
  if (left === null || right === null) return left === right
  const [one, other] = [Buffer.from(left), Buffer.from(right)]
  return one.length === other.length && timingSafeEqual(one, other)
}

function byAge(left: ServiceRow, right: ServiceRow): number {
  return ageKey(left) < ageKey(right) ? -1 : 1
}

function ageKey({ record }: ServiceRow): string {
  return `${record.created_at} ${record.id}`
}

function idsAsleep(rows: readonly ServiceRow[]): readonly string[] {
  const asleep = rows.filter(
    ({ record, config, intent }) => record.desired === 'stopped' && intent.by === 'idle' && config.wake,
  )
  return asleep.map(({ record }) => record.id)
}

function whyRefused({ name, proof }: Wish, { record, proofs }: ServiceRow): string {
  const asked = proofs?.expose ?? null
  const wrong =
    asked === null
      ? 'asks for no secret, and this kind gives one'
      : proof === null
        ? 'asks for a secret, and this kind gives none'
        : 'asks for another secret than this kind gives'
  return `it uses "${name}", and ${record.name}, which exposes that, ${wrong}`
}

function whyWaiting({ name }: Wish, row: ServiceRow | undefined): string {
  const waits = `it waits for "${name}"`
  if (!row) return `${waits}: no cocoon exposes that`
  const { name: service, state, health } = row.record
  if (state !== 'running') return `${waits}: ${service} is ${state}`
  if (health !== 'passing' && health !== 'none') return `${waits}: ${service} is not healthy`
  return row.endpoint === null ? `${waits}: ${service} has no port` : `${waits}: ${service} is about to stop`
}
