import { Secret } from '../../secret.ts'
import { type Command, type Invocation, textOf } from '../command.ts'
import { CliFailure, EXIT, usage } from '../failure.ts'
import { printable } from '../io.ts'

export const signalingServer: Command = {
  name: 'signaling-server',
  summary: 'a small signaling server for trying things out',
  help: `Usage: hive signaling-server [options]

Runs a small signaling server in the foreground until SIGTERM or Ctrl-C, for development and tests on one machine. It
verifies the signatures of hives, relays spawns and terminates to them and their results back, and takes in cocoons with
any setup token. It keeps nothing and knows one user: not for the open network.

HIVE_SECRET must be set, to the same value as for the hives.

Options:
  --host <address>   where to listen (127.0.0.1)
  --port <n>         which port, 0 = any free one (8080)
  --protocol <p>     1, 2 or both (both: generation 2 for URLs with ?kind=hive|cocoon|app, else generation 1)

Examples:
  HIVE_SECRET=try-me hive signaling-server
  HIVE_SECRET=try-me SIGNALING_SERVER_URL=ws://127.0.0.1:8080/ws hive serve
`,
  options: { host: { type: 'string' }, port: { type: 'string' }, protocol: { type: 'string' } },
  run,
}

const PROTOCOLS = new Map([
  ['1', 1],
  ['2', 2],
  ['both', null],
] as const)

async function run({ values, env, io }: Invocation): Promise<number> {
  const secret = env['HIVE_SECRET']?.trim()
  const port = Number(textOf(values, 'port') ?? 8080)
  const protocol = textOf(values, 'protocol') ?? 'both'
  const generation = PROTOCOLS.get(protocol as '1' | '2' | 'both')
  if (!secret) throw usage('HIVE_SECRET is not set: hives sign with it', 'signaling-server')
  if (!Number.isInteger(port) || port < 0 || port > 65_535) throw usage('--port must be 0-65535', 'signaling-server')
  if (generation === undefined) throw usage('--protocol must be 1, 2 or both', 'signaling-server')
  // Loaded only here: no other command needs a WebSocket server.
  const { openSignalingServer } = await import('../../signaling/server/server.ts')
  const say = (line: string) => void io.stdout.write(`${printable(line)}\n`)
  const stop = untilSignal()
  const host = textOf(values, 'host') ?? '127.0.0.1'
  const server = await openSignalingServer({ secret: new Secret(secret), host, port, generation, say }).catch(cannot)
  say(`signaling server at ${server.url} (protocol ${protocol})`)
  await stop
  await server.close()
  return EXIT.ok
}

function cannot(error: NodeJS.ErrnoException): never {
  throw new CliFailure(EXIT.failed, {
    code: 'CLI_LISTEN',
    title: 'The signaling server cannot listen',
    detail: error.message,
  })
}

function untilSignal(): Promise<void> {
  return new Promise((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => resolve())
  })
}
