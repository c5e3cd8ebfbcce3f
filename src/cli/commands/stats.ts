import type { StatsSample } from '../../stats/sample.ts'
import type { Command, Invocation } from '../command.ts'
import { EXIT, type ExitCode } from '../failure.ts'
import { printable } from '../io.ts'
import { servicePath } from '../service.ts'

export const stats: Command = {
  name: 'stats',
  summary: 'show what a cocoon uses',
  takes: { what: 'the name', min: 1, max: 1 },
  help: `Usage: hive stats <name>

Shows the cpu, memory, processes, open files and network of one cocoon, measured every 10 s; of one that has ended, its
last sample. --json has the last ten minutes. A dash is what cannot be told, with the reason.

Examples:
  hive stats web
  hive stats web --json | jq '.history[].cpu_percent'
`,
  run,
}

interface Answer {
  readonly current: StatsSample | null
  readonly history: readonly StatsSample[]
}

async function run(invocation: Invocation): Promise<ExitCode> {
  const path = `${servicePath(invocation.args[0] ?? '')}/stats`
  const client = await invocation.connect()
  const answer = (await client.send('GET', path)) as Answer
  const { io, json } = invocation
  if (json) {
    io.stdout.write(`${JSON.stringify(answer)}\n`)
    return EXIT.ok
  }
  const sample = answer.current ?? answer.history.at(-1)
  if (sample === undefined) io.stderr.write('It has not been measured yet.\n')
  else io.stdout.write(statsBlock(sample, answer.current === null))
  return EXIT.ok
}

/** `name  value` lines of one sample. */
export function statsBlock(sample: StatsSample, isPast: boolean): string {
  const { unknown, network_rx_bytes: received, network_tx_bytes: sent } = sample
  const rows: readonly (readonly [name: string, value: string | null, reason: string | undefined])[] = [
    ['at', isPast ? `${sample.at} (it does not run now)` : sample.at, undefined],
    ['cpu', cpu(sample), unknown.cpu],
    ['memory', memory(sample), unknown.memory],
    ['processes', text(sample.processes), unknown.processes],
    ['threads', text(sample.threads), unknown.threads],
    ['open files', text(sample.open_files), unknown.open_files],
    [
      'network',
      received === null || sent === null ? null : `${bytes(received)} in, ${bytes(sent)} out`,
      unknown.network,
    ],
  ]
  const lines = rows.map(([name, value, reason]) => `${name.padEnd(12)}${value ?? `- (${reason ?? 'not known'})`}`)
  return lines.map((line) => `${printable(line)}\n`).join('')
}

function cpu({ cpu_seconds: seconds, cpu_percent: percent }: StatsSample): string | null {
  if (seconds === null) return null
  const share = percent === null ? '' : `${percent} % of a processor, `
  return `${share}${seconds.toFixed(2)} s in all`
}

function memory({ memory_bytes: used, memory_limit_bytes: limit }: StatsSample): string | null {
  if (used === null) return null
  return limit === null ? bytes(used) : `${bytes(used)} of ${bytes(limit)}`
}

function text(value: number | null): string | null {
  return value === null ? null : String(value)
}

const UNITS = ['B', 'KB', 'MB', 'GB', 'TB'] as const

function bytes(count: number): string {
  const power = Math.min(UNITS.length - 1, Math.floor(Math.log(Math.max(1, count)) / Math.log(1024)))
  const amount = count / 1024 ** power
  return `${power === 0 ? amount : amount.toFixed(1)} ${UNITS[power]}`
}
