import type { Call, Client } from '../client.ts'
import { type Command, type Invocation, manyOf, textOf } from '../command.ts'
import { CliFailure, EXIT, type ExitCode } from '../failure.ts'
import { parsePairs } from '../pairs.ts'
import { type Service, serviceLine } from '../service.ts'

export const list: Command = {
  name: 'list',
  summary: 'list the services, ended ones included',
  options: {
    state: { type: 'string', multiple: true },
    kind: { type: 'string' },
    label: { type: 'string', multiple: true },
  },
  help: `Usage: hive list [options]

Lists the services, oldest first, one line each: name, state, process or container, kind.

  --state <state>      only those in this state, repeatable
  --kind <kind>        only those of this kind
  --label key=value    only those with this label, repeatable: all must fit

Examples:
  hive list
  hive list --state running --label team=blue
  hive list --json | jq -r '.services[].name'
`,
  run,
}

async function run(invocation: Invocation): Promise<ExitCode> {
  const { values, io, json } = invocation
  const labels = manyOf(values, 'label')
  parsePairs('--label', labels)
  const states = manyOf(values, 'state')
  const query = { state: states.join(',') || undefined, kind: textOf(values, 'kind'), label: labels }
  const client = await invocation.connect()
  const services: Service[] = []
  for await (const page of pages(client, query)) {
    services.push(...page)
    if (!json) for (const service of page) io.stdout.write(`${serviceLine(service)}\n`)
  }
  if (json) io.stdout.write(`${JSON.stringify({ services })}\n`)
  else if (services.length === 0) io.stderr.write(emptyNote([query.state, query.kind, ...labels]))
  return EXIT.ok
}

async function* pages(client: Client, query: NonNullable<Call['query']>): AsyncGenerator<readonly Service[]> {
  let cursor: string | undefined
  do {
    const page = (await client.send('GET', '/services', { query: { ...query, limit: 1000, cursor } })) as {
      services: readonly Service[]
      next_cursor: string | null
    }
    yield page.services
    if (page.next_cursor !== null && page.next_cursor === cursor) throw stuck()
    cursor = page.next_cursor ?? undefined
  } while (cursor !== undefined)
}

function stuck(): CliFailure {
  return new CliFailure(EXIT.failed, { code: 'CLI_LIST_STUCK', title: 'Hive answered the same page twice' })
}

function emptyNote(filters: readonly (string | undefined)[]): string {
  const isFiltered = filters.some((filter) => filter !== undefined)
  return isFiltered ? 'No service fits.\n' : 'There are no services yet; `hive spawn <kind>` makes one.\n'
}
