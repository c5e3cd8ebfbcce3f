import type { Orphan, OrphanReport, ReapReport, RunnerTrouble } from '../../services/duties/orphans.ts'
import type { Command, Invocation } from '../command.ts'
import { EXIT, type ExitCode, usage } from '../failure.ts'
import { type CliIo, printable } from '../io.ts'

const REAP_LIMIT_MS = 70_000

export const orphans: Command = {
  name: 'orphans',
  summary: 'list or remove what belongs to no service',
  options: { reap: { type: 'boolean' }, volumes: { type: 'boolean' } },
  takes: { what: 'the id', min: 0, max: Number.POSITIVE_INFINITY },
  help: `Usage: hive orphans [<id>…] [options]

Lists containers and processes that carry this Hive's mark and belong to no service: what a lost or restored service
table leaves behind. Things of other Hives, and of nobody, are never listed. Without --reap nothing is changed.

  --reap       stop and remove them, all or those with the given ids
  --volumes    with --reap: their named volumes, too

Examples:
  hive orphans
  hive orphans --reap
  hive orphans --json | jq -r '.orphans[].id'
`,
  run,
}

async function run(invocation: Invocation): Promise<ExitCode> {
  if (invocation.values['reap'] === true) return reap(invocation)
  if (invocation.values['volumes'] === true) throw usage('--volumes goes with --reap', 'orphans')
  return show(invocation)
}

async function show({ connect, io, json, args }: Invocation): Promise<ExitCode> {
  const client = await connect()
  const report = (await client.send('GET', '/orphans')) as OrphanReport
  const listed = args.length === 0 ? report.orphans : report.orphans.filter(({ id }) => args.includes(id))
  if (json) io.stdout.write(`${JSON.stringify({ ...report, orphans: listed })}\n`)
  else for (const orphan of listed) io.stdout.write(`${line(orphan)}\n`)
  if (!json && listed.length === 0) io.stderr.write('There are no orphans.\n')
  if (!json) sayUnasked(report.unasked, io)
  return EXIT.ok
}

async function reap({ connect, values, io, json, args }: Invocation): Promise<ExitCode> {
  const client = await connect()
  const query = { id: args, volumes: values['volumes'] === true ? 'true' : undefined }
  const report = (await client.send('POST', '/orphans/reap', { query, timeoutMs: REAP_LIMIT_MS })) as ReapReport
  const exit = report.kept.length === 0 ? EXIT.ok : EXIT.failed
  if (json) {
    io.stdout.write(`${JSON.stringify(report)}\n`)
    return exit
  }
  for (const orphan of report.reaped) io.stdout.write(`${line(orphan)}  removed\n`)
  for (const orphan of report.kept) io.stderr.write(`${line(orphan)}  not removed: ${printable(orphan.reason)}\n`)
  if (report.reaped.length + report.kept.length === 0) io.stderr.write('There are no orphans.\n')
  sayUnasked(report.unasked, io)
  return exit
}

function line({ name, runner, id, attempt, running }: Orphan): string {
  return printable(`cocoons:${name}  ${running ? 'running' : 'ended'}  ${runner} ${id} (attempt ${attempt})`)
}

function sayUnasked(unasked: readonly RunnerTrouble[], io: CliIo): void {
  for (const { runner, reason } of unasked) io.stderr.write(`${printable(`${runner} was not asked: ${reason}`)}\n`)
}
