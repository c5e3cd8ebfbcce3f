import { setTimeout as sleep } from 'node:timers/promises'
import type { LogLine } from '../../logs/log-line.ts'
import { parseSince, SINCE_FORMS } from '../../logs/since.ts'
import type { Call, Client } from '../client.ts'
import { type Command, type Invocation, textOf } from '../command.ts'
import { EXIT, type ExitCode, Unreachable, usage } from '../failure.ts'
import { printable } from '../io.ts'
import { servicePath } from '../service.ts'

export const logs: Command = {
  name: 'logs',
  summary: 'show what a cocoon wrote',
  takes: { what: 'the name', min: 1, max: 1 },
  options: {
    follow: { type: 'boolean', short: 'f' },
    tail: { type: 'string', short: 'n' },
    after: { type: 'string' },
    since: { type: 'string' },
  },
  help: `Usage: hive logs <name> [-f] [--tail <n>] [--after <seq>] [--since <time>]

What the cocoon wrote to stdout goes to stdout, the rest to stderr; --json prints the records with seq and time.
Also for 24 hours after it was removed. With -f it goes on where it was when Hive restarts meanwhile.

  -f, --follow        go on as long as the cocoon may write
  -n, --tail <n>      only the last n lines
  --after <seq>       only lines after this one
  --since <time>      only lines of this time or later: 10m (ago), 2026-01-31T12:00:00Z or 2026-01-31 (UTC)

Examples:
  hive logs web -n 100 -f
  hive logs web --since 10m
  hive logs web --json | jq -r .line
`,
  run,
}

const PATIENCE_MS = 60_000
const PAUSE_MS = 500

async function run(invocation: Invocation): Promise<ExitCode> {
  const { values } = invocation
  const path = `${servicePath(invocation.args[0] ?? '')}/logs`
  const follow = values['follow'] === true
  const query = {
    follow: follow ? 'true' : undefined,
    tail: wholeOf(values, 'tail'),
    after: wholeOf(values, 'after'),
    since: sinceOf(values),
  }
  const client = await invocation.connect()
  const copy = new Copy(invocation)
  if (!follow) await copy.read(client, path, query)
  else await followOn(client, path, { query, copy })
  return EXIT.ok
}

/** Goes on where it broke off, as long as Hive comes back within the patience. */
async function followOn(client: Client, path: string, { query, copy }: { query: Query; copy: Copy }): Promise<void> {
  let lostAt: number | null = null
  for (let isOver = false; !isOver; ) {
    const before = copy.seq
    try {
      await copy.read(client, path, copy.goOn(query))
      isOver = !copy.isSlow
    } catch (error) {
      if (copy.seq !== before) lostAt = null
      lostAt = await pauseAfter(error, copy.seq !== null, lostAt)
    }
  }
}

/** @returns since when Hive has been away. @throws what is not worth another try. */
async function pauseAfter(error: unknown, hasBegun: boolean, lostAt: number | null): Promise<number> {
  if (!(error instanceof Unreachable) || !(hasBegun || error.lost)) throw error
  const since = lostAt ?? performance.now()
  if (performance.now() - since > PATIENCE_MS) throw error
  await sleep(PAUSE_MS)
  return since
}

type Query = NonNullable<Call['query']>

/** Puts each line to where the cocoon wrote it. */
class Copy {
  /** The last line copied; null = none yet. */
  seq: number | null = null
  /** True if Hive let us go because we read too slowly. */
  isSlow = false
  readonly #invocation: Invocation

  constructor(invocation: Invocation) {
    this.#invocation = invocation
  }

  async read(client: Client, path: string, query: Query): Promise<void> {
    this.isSlow = false
    for await (const text of client.lines(path, { query })) this.#put(text)
  }

  /** The query for what comes after the last line copied. */
  goOn(query: Query): Query {
    return this.seq === null ? query : { ...query, tail: undefined, after: String(this.seq) }
  }

  #put(text: string): void {
    const { io, json } = this.#invocation
    const record = JSON.parse(text) as LogLine & { readonly marker?: string }
    this.isSlow = record.marker === 'slow'
    if (this.isSlow) return
    this.seq = record.seq
    if (json) return void io.stdout.write(`${text}\n`)
    const out = record.stream === 'stderr' ? io.stderr : io.stdout
    const isOwn = record.marker !== undefined || record.dropped !== undefined
    out.write(isOwn ? `${printable(record.line)}\n` : record.line + (record.partial ? '' : '\n'))
  }
}

/** Checked here as well, so that a typing error costs no request. */
function sinceOf(values: Readonly<Record<string, unknown>>): string | undefined {
  const text = textOf(values, 'since')
  if (text === undefined || parseSince(text, 0) !== null) return text
  throw usage(`--since must be ${SINCE_FORMS}`, 'logs')
}

function wholeOf(values: Readonly<Record<string, unknown>>, name: string): string | undefined {
  const text = textOf(values, name)
  if (text === undefined || /^\d{1,15}$/.test(text)) return text
  throw usage(`--${name} must be a whole number`, 'logs')
}
