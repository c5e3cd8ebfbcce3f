import { checkKinds } from '../check-kinds.ts'
import type { Command, Invocation } from '../command.ts'
import { EXIT } from '../failure.ts'
import { printable } from '../io.ts'

interface Kind {
  readonly id: string
  readonly runner_type: string
  readonly available: boolean
  readonly reason: string | null
}

export const kinds: Command = {
  name: 'kinds',
  summary: 'list the kinds, or check COCOON_KINDS',
  options: { check: { type: 'boolean' }, long: { type: 'boolean' } },
  help: `Usage: hive kinds [options]

Lists the kinds of a running Hive, one \`id (runner)\` per line.

  --long     say of each kind that cannot be spawned now what is missing
  --check    check COCOON_KINDS (and HIVE_*) of this environment and print the kinds it gives, without any Hive;
             every problem is printed, and the exit code is 78 if there is one

Examples:
  hive kinds
  COCOON_KINDS='native:script:cocoon-worker' hive kinds --check
`,
  run,
}

async function run(invocation: Invocation): Promise<number> {
  const { values, io, json } = invocation
  if (values['check'] === true) return checkKinds(invocation.env, io, json)
  const client = await invocation.connect()
  const answer = (await client.send('GET', '/kinds')) as { kinds: readonly Kind[] }
  if (json) io.stdout.write(`${JSON.stringify(answer)}\n`)
  else for (const kind of answer.kinds) io.stdout.write(`${line(kind, values['long'] === true)}\n`)
  if (!json && answer.kinds.length === 0) io.stderr.write('There are no kinds; COCOON_KINDS of the server says so.\n')
  return EXIT.ok
}

function line({ id, runner_type, available, reason }: Kind, isLong: boolean): string {
  const why = isLong && !available ? `  unavailable: ${reason ?? 'no reason given'}` : ''
  return printable(`${id} (${runner_type})${why}`)
}
