import type { HiveEvent } from '../events/event.ts'
import type { LogLine } from '../logs/log-line.ts'
import { cursorAfter, oldestCursor, readOn } from '../logs/read-log.ts'
import type { ServiceLog } from '../logs/service-log.ts'
import type { Exit, ServiceError, ServiceRecord } from '../services/state/record.ts'
import type { StatsSample } from '../stats/sample.ts'

/** What is left to say of a cocoon, in one shape for all runners. */
export interface PostMortem {
  readonly service: ServiceRecord
  /** How the last attempt ended; null = it has not, or was never launched. */
  readonly exit: Exit | null
  readonly error: ServiceError | null
  /** The last lines of output, oldest first. */
  readonly log: readonly LogLine[]
  /** The last probes of its health checks, oldest first. */
  readonly probes: readonly unknown[]
  /** The last sample; null = there is none: an attempt that ended within seconds, or that no Hive watched. */
  readonly stats: StatsSample | null
  /** What happened, oldest first, as far as events are kept. */
  readonly timeline: readonly HiveEvent[]
}

/** Lines of a post-mortem. */
const LAST_LINES = 200
/** Of one service there are few events; a cocoon that restarts for ever has its last ones shown. */
const MAX_TIMELINE = 500

export interface PostMortemSources {
  readonly log: ServiceLog
  readonly timeline: (after: number) => Promise<readonly HiveEvent[]>
  readonly probes: readonly unknown[]
  readonly stats: StatsSample | null
}

export async function postMortem(service: ServiceRecord, sources: PostMortemSources): Promise<PostMortem> {
  return {
    service,
    exit: service.exit,
    error: service.error,
    log: await lastLines(sources.log),
    probes: sources.probes,
    stats: sources.stats,
    timeline: await wholeTimeline(sources.timeline),
  }
}

async function lastLines(log: ServiceLog): Promise<readonly LogLine[]> {
  const lines: LogLine[] = []
  const oldest = await oldestCursor(log)
  let cursor = cursorAfter(Math.max(oldest.seq, log.lastSeq - LAST_LINES))
  while (lines.length < LAST_LINES) {
    const chunk = await readOn(log, cursor, null)
    if (chunk === null) break
    lines.push(...chunk.lines.map((text) => JSON.parse(text) as LogLine))
    cursor = chunk.cursor
  }
  return lines.slice(-LAST_LINES)
}

async function wholeTimeline(read: PostMortemSources['timeline']): Promise<readonly HiveEvent[]> {
  let events: readonly HiveEvent[] = []
  for (let after = 0; ; ) {
    const page = await read(after)
    const last = page.at(-1)
    if (last === undefined) return events
    events = [...events, ...page].slice(-MAX_TIMELINE)
    after = last.seq
  }
}
