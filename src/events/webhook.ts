import { createHmac } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { wakeUp } from '../http/stream-answer.ts'
import type { Secret } from '../secret.ts'
import type { DocumentStore } from '../services/table/table.ts'
import type { HiveEvent } from './event.ts'
import type { EventFeed } from './event-feed.ts'

export interface WebhookOptions {
  readonly url: string
  readonly secret: Secret
  readonly feed: EventFeed
  readonly store: DocumentStore
  readonly now: () => Date
  /** Says that the receiver does not take events, and that it does again. */
  readonly say: (trouble: string | null) => void
}

const COLLECTION = 'webhook'
const KEY = 'cursor'
const ANSWER_LIMIT_MS = 10_000
const RETRY_MS = 1_000
const RETRY_AT_MOST_MS = 60_000
const LOOK_EVERY_MS = 60_000

/**
 * Posts every event to one address, one at a time and in order, until it answers with a status of 2xx. How far it came
 * is on the disk: a restart of Hive may repeat the event under way, and loses none. Resolves when the signal aborts.
 *
 * `Hive-Signature: t=<unix seconds>,v1=<hex>` is the HMAC-SHA256 of `<t>.<body>`; `Hive-Event` is the event's number.
 */
export async function runWebhook(options: WebhookOptions, signal: AbortSignal): Promise<void> {
  const { feed, store } = options
  let seq = await startAt(options)
  while (!signal.aborted) {
    const { events, first } = await feed.after(seq)
    if (first > seq + 1 && seq > 0) await deliver(options, resetOf(seq, first, options.now()), signal)
    for (const event of events) {
      await deliver(options, event, signal)
      if (signal.aborted) return
      seq = event.seq
      await store.putDocument(COLLECTION, KEY, { seq })
    }
    if (events.length === 0) await untilNews(feed, seq, signal)
  }
}

/** A receiver that is new hears of what happens from now on. */
async function startAt({ feed, store }: WebhookOptions): Promise<number> {
  const kept = (await store.documents(COLLECTION)).get(KEY) as { readonly seq: number } | undefined
  if (kept) return kept.seq
  const { last } = await feed.after(Number.MAX_SAFE_INTEGER)
  await store.putDocument(COLLECTION, KEY, { seq: last })
  return last
}

async function untilNews(feed: EventFeed, seq: number, signal: AbortSignal): Promise<void> {
  const over = new AbortController()
  const either = AbortSignal.any([signal, over.signal])
  const news = wakeUp((wake) => feed.onEvent(wake), LOOK_EVERY_MS, either)
  // Armed first: what came since the last look is not waited for.
  if ((await feed.after(seq)).events.length > 0) over.abort()
  await news
}

type Posted = Pick<HiveEvent, 'seq' | 'at' | 'data'> & { readonly type: string; readonly service: unknown }

function resetOf(after: number, first: number, now: Date): Posted {
  return { seq: first - 1, at: now.toISOString(), type: 'reset', service: null, data: { after, first } }
}

async function deliver(options: WebhookOptions, event: Posted, signal: AbortSignal): Promise<void> {
  const body = JSON.stringify(event)
  for (let waitMs = RETRY_MS; !signal.aborted; waitMs = Math.min(waitMs * 2, RETRY_AT_MOST_MS)) {
    const trouble = await post(options, { body, seq: event.seq }, signal)
    options.say(trouble)
    if (trouble === null) return
    await delay(waitMs * (0.8 + Math.random() * 0.4), undefined, { signal }).catch(() => undefined) // told to stop
  }
}

/** @returns null = taken; else why not. */
async function post(
  { url, secret, now }: WebhookOptions,
  { body, seq }: { readonly body: string; readonly seq: number },
  signal: AbortSignal,
): Promise<string | null> {
  const seconds = Math.floor(now().getTime() / 1000)
  try {
    const answer = await fetch(url, {
      method: 'POST',
      body,
      // Somebody else's address is nowhere to send what was meant for this one.
      redirect: 'manual',
      headers: {
        'content-type': 'application/json',
        'hive-event': String(seq),
        'hive-signature': `t=${seconds},v1=${sign(secret, seconds, body)}`,
      },
      signal: AbortSignal.any([signal, AbortSignal.timeout(ANSWER_LIMIT_MS)]),
    })
    await answer.body?.cancel()
    return answer.ok ? null : `it answered ${answer.status}`
  } catch (error) {
    const { name, cause } = error as { name: string; cause?: { code?: string } }
    return cause?.code ?? name
  }
}

/** The HMAC that a receiver compares, after it has looked at the time. */
export function sign(secret: Secret, seconds: number, body: string): string {
  return createHmac('sha256', secret.reveal()).update(`${seconds}.${body}`).digest('hex')
}
