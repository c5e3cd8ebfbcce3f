import type { PostMortem } from '../../api/post-mortem.ts'
import type { Client } from '../client.ts'
import type { Command, Invocation } from '../command.ts'
import { EXIT, type ExitCode } from '../failure.ts'
import { printable } from '../io.ts'
import { type Service, servicePath } from '../service.ts'
import { formatMs } from '../time.ts'
import { statsBlock } from './stats.ts'

export const show: Command = {
  name: 'show',
  summary: 'show all of one service',
  takes: { what: 'the name', min: 1, max: 1 },
  options: { 'post-mortem': { type: 'boolean' } },
  help: `Usage: hive show <name> [--post-mortem]

Shows the record of one service; --json prints it as Hive keeps it.

With --post-mortem: how it ended, its timeline and last output; for 24 hours after its removal, too.

Examples:
  hive show web
  hive show web --post-mortem
  hive show cocoons:web --json | jq .timings
`,
  run,
}

async function run(invocation: Invocation): Promise<ExitCode> {
  const path = servicePath(invocation.args[0] ?? '')
  const client = await invocation.connect()
  if (invocation.values['post-mortem'] === true) return showPostMortem(invocation, client, path)
  const service = (await client.send('GET', path)) as Service
  invocation.io.stdout.write(invocation.json ? `${JSON.stringify(service)}\n` : block(service))
  return EXIT.ok
}

async function showPostMortem(invocation: Invocation, client: Client, path: string): Promise<ExitCode> {
  const found = (await client.send('GET', `${path}/post-mortem`)) as PostMortem
  const { io, json } = invocation
  if (json) {
    io.stdout.write(`${JSON.stringify(found)}\n`)
    return EXIT.ok
  }
  const timeline = found.timeline.map(({ at, type, data }) => `  ${at}  ${type}  ${JSON.stringify(data)}`)
  const log = found.log.map(({ time, stream, line }) => `  ${time}  ${stream}  ${line}`)
  const used = found.stats === null ? [] : ['', 'last stats', ...statsBlock(found.stats, false).trimEnd().split('\n')]
  const text = [...used, '', 'timeline', ...timeline, '', 'last output', ...log]
    .map((line) => `${printable(line)}\n`)
    .join('')
  io.stdout.write(block(found.service) + text)
  return EXIT.ok
}

/** `name  value` lines; what is not set is left out. */
function block(service: Service): string {
  const rows = [...identity(service), ...addresses(service), ...life(service), ...timings(service)]
  const set = rows.filter((row): row is [string, string] => row[1] !== null && row[1] !== '')
  return set.map(([name, value]) => `${name.padEnd(12)}${printable(value)}\n`).join('')
}

type Row = [name: string, value: string | null]

function identity(service: Service): Row[] {
  return [
    ['name', service.fqn],
    ['id', service.id],
    ['kind', `${service.kind} (${service.runner})`],
    ['image', service.image],
    ['pid', service.pid === null ? null : String(service.pid)],
    ['container', service.container_id],
    ['labels', pairs(service.labels)],
    ['request id', service.request_id],
  ]
}

function addresses(service: Service): Row[] {
  return [
    ['url', service.url],
    ['origin url', service.origin_url],
    ['ports', service.ports.map((port) => `${port.port} at ${port.host}:${port.host_port}`).join(', ')],
    ['uses', (service.uses ?? []).map(useText).join(', ')],
  ]
}

function useText({ name, service, host, port }: NonNullable<Service['uses']>[number]): string {
  return service === null ? `${name} (waits)` : `${name} from cocoons:${service} at ${host}:${port}`
}

function life(service: Service): Row[] {
  const { error } = service
  // What the checks said last is no news of what does not run any more.
  const hasHealth = service.health !== 'none' && service.ended_at === null
  return [
    ['state', `${service.state} (wanted: ${service.desired})`],
    ['health', hasHealth ? service.health : null],
    ['attempt', `${service.attempt}, ${service.restarts} restarts`],
    ['created', service.created_at],
    ['started', service.started_at],
    ['ready', service.ready_at],
    ['ended', service.ended_at],
    ['next try', service.next_attempt_at],
    ['exit', exitText(service.exit)],
    ['error', error === null ? null : `${error.detail} (${error.code})`],
  ]
}

/** The code, the signal, and why it was ended unless these say it all. */
function exitText(exit: Service['exit']): string | null {
  if (exit === null) return null
  const { code, signal, reason, oom } = exit
  const isPlain = reason === 'oom' || (signal !== null && ['exited', 'signal'].includes(reason))
  return [`code ${code}`, signal, isPlain ? null : reason, oom ? 'out of memory' : null]
    .filter((part) => part !== null)
    .join(', ')
}

function timings(service: Service): Row[] {
  const spent = Object.entries(service.timings).filter((entry): entry is [string, number] => entry[1] !== null)
  return [['timings', spent.map(([name, ms]) => `${name.replace(/_ms$/, '')} ${formatMs(ms)}`).join(', ')]]
}

function pairs(labels: Readonly<Record<string, string>>): string {
  return Object.entries(labels)
    .map(([key, value]) => `${key}=${value}`)
    .join(', ')
}
