import { wakeUp } from '../http/stream-answer.ts'
import type { EventType, HiveEvent } from './event.ts'
import type { EventFeed } from './event-feed.ts'

export interface EventFilter {
  readonly names: readonly string[] | null
  readonly kinds: readonly string[] | null
  readonly types: readonly EventType[] | null
}

export interface EventReading {
  readonly feed: EventFeed
  /** The last event the reader has; null = it wants what happens from now on. */
  readonly after: number | null
  readonly filter: EventFilter
}

const HEARTBEAT_MS = 15_000

/** Server-sent events, for ever. A reader that comes back too late is told so by one `reset`, then gets all there is. */
export async function* eventText({ feed, after, filter }: EventReading, signal: AbortSignal): AsyncGenerator<string> {
  const start = await startOf(feed, after)
  yield start.text
  let { seq } = start
  while (!signal.aborted) {
    // Armed before reading, so that nothing that happens meanwhile goes unnoticed.
    const news = arm(feed)
    try {
      const { events } = await feed.after(seq)
      const text = events.filter((event) => matches(event, filter)).map(encode)
      if (text.length > 0) yield text.join('')
      if (events.length > 0) seq = events.at(-1)?.seq ?? seq
      else if (!(await arrives(news.promise, signal))) yield ': still here\n\n'
    } finally {
      news.off()
    }
  }
}

async function startOf(
  feed: EventFeed,
  after: number | null,
): Promise<{ readonly seq: number; readonly text: string }> {
  const { first, last } = await feed.after(Number.MAX_SAFE_INTEGER)
  const isKept = after === null || after === 0 || (after <= last && (first === 0 ? after === last : after >= first - 1))
  if (isKept) return { seq: after ?? last, text: ': welcome\n\n' }
  const seq = after > last || first === 0 ? last : first - 1
  return { seq, text: `id: ${seq}\nevent: reset\ndata: ${JSON.stringify({ after, first, last })}\n\n` }
}

function arm(feed: EventFeed) {
  const { promise, resolve } = Promise.withResolvers<void>()
  return { promise, off: feed.onEvent(resolve) }
}

export function matches({ service, type }: HiveEvent, { names, kinds, types }: EventFilter): boolean {
  if (types !== null && !types.includes(type)) return false
  if (names !== null && !(service !== null && names.includes(service.name))) return false
  return kinds === null || (service !== null && kinds.includes(service.kind))
}

function encode(event: HiveEvent): string {
  return `id: ${event.seq}\nevent: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`
}

async function arrives(news: Promise<void>, signal: AbortSignal): Promise<boolean> {
  let arrived = false
  await wakeUp(
    (wake) => {
      void news.then(() => {
        arrived = true
        wake()
      })
      return () => undefined
    },
    HEARTBEAT_MS,
    signal,
  )
  return arrived
}
