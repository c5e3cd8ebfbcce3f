import type { Command, Invocation } from '../command.ts'
import { CliFailure, EXIT, type ExitCode } from '../failure.ts'
import { addressOf, type Service, servicePath } from '../service.ts'

export const open: Command = {
  name: 'open',
  summary: 'print the address of a cocoon',
  takes: { what: 'the name', min: 1, max: 1 },
  help: `Usage: hive open <name>

Prints the address to open in a browser: the cocoon's own origin if it has one, else its path below Hive.

Examples:
  hive open web
  xdg-open "$(hive open web)"
`,
  run,
}

async function run(invocation: Invocation): Promise<ExitCode> {
  const path = servicePath(invocation.args[0] ?? '')
  const client = await invocation.connect()
  const service = (await client.send('GET', path)) as Service
  const { fqn, url, origin_url } = service
  const address = addressOf(service)
  if (address === null) {
    throw new CliFailure(
      EXIT.notFound,
      {
        code: 'CLI_NO_ADDRESS',
        title: 'This cocoon has no address',
        detail: `${fqn} (${service.state}) has no port to reach.`,
      },
      'Give its kind a `port`, or `ports`.',
    )
  }
  invocation.io.stdout.write(invocation.json ? `${JSON.stringify({ fqn, url, origin_url })}\n` : `${address}\n`)
  return EXIT.ok
}
