import { isEnded } from '../../services/state/record.ts'
import type { Client } from '../client.ts'
import { type Command, type Invocation, textOf } from '../command.ts'
import { CliFailure, EXIT, type ExitCode, reportFailure } from '../failure.ts'
import { inOrder } from '../in-order.ts'
import { type Service, serviceLine, servicePath } from '../service.ts'
import { parseDuration } from '../time.ts'
import { type Goal, waitFor } from '../wait.ts'

/** A command that asks Hive to change services, several at a time, and by default waits until they are so. */
interface Change {
  readonly name: string
  readonly summary: string
  readonly goal: Goal
  readonly about: string
  readonly flag?: { readonly name: string; readonly about: string }
  /** Asks; resolves with the answered record and the attempt from which the goal counts. */
  ask(client: Client, path: string, flags: Query): Promise<Asked>
}

type Query = Readonly<Record<string, string>>

interface Asked {
  readonly service: Service
  readonly fromAttempt?: number
}

const recreate = { name: 'recreate', about: 'make a new container instead of starting the same one again' }

const CHANGES: readonly Change[] = [
  {
    name: 'stop',
    summary: 'stop cocoons; they keep their record and files',
    goal: 'ended',
    about:
      'Stops cocoons: asks politely, and by force after the grace time of their kind. `hive start` starts them again.',
    ask: async (client, path) => ({ service: await post(client, `${path}/stop`, {}) }),
  },
  {
    name: 'start',
    summary: 'start ended cocoons again',
    goal: 'ready',
    about: 'Starts ended cocoons again, as a new attempt of the same service, and waits until they are ready.',
    flag: recreate,
    ask: async (client, path, flags) => {
      const { state, desired, attempt } = await read(client, path)
      const isNew = desired !== 'running' || isEnded(state)
      return { service: await post(client, `${path}/start`, flags), fromAttempt: isNew ? attempt + 1 : attempt }
    },
  },
  {
    name: 'restart',
    summary: 'stop cocoons and start them again',
    goal: 'ready',
    about: 'Stops cocoons, starts them again as a new attempt, and waits until they are ready.',
    flag: recreate,
    ask: async (client, path, flags) => {
      const { attempt } = await read(client, path)
      return { service: await post(client, `${path}/restart`, flags), fromAttempt: attempt + 1 }
    },
  },
  {
    name: 'kill',
    summary: 'stop cocoons and remove them with their files',
    goal: 'gone',
    about: 'Stops and removes cocoons, whatever state they are in. Named volumes are kept. Killed twice is no error.',
    flag: { name: 'volumes', about: 'remove their named volumes too' },
    ask: async (client, path, flags) => ({ service: await remove(client, path, flags) }),
  },
]

export const change: readonly Command[] = CHANGES.map(toCommand)

function toCommand(change: Change): Command {
  const { name, summary, about, flag } = change
  const flagRow = flag === undefined ? '' : `  --${flag.name.padEnd(17)}${flag.about}\n`
  return {
    name,
    summary,
    takes: { what: 'the name', min: 1, max: Number.POSITIVE_INFINITY },
    options: {
      wait: { type: 'boolean', default: true },
      timeout: { type: 'string', default: '60s' },
      ...(flag === undefined ? {} : { [flag.name]: { type: 'boolean' } }),
    },
    help: `Usage: hive ${name} <name>… [options]

${about}
Prints one line per cocoon in the order given; --json prints one record per line. Exits with the first failure's code.

  --no-wait          return as soon as Hive has taken the request
  --timeout <time>   how long to wait for each (60s)
${flagRow}
Examples:
  hive ${name} web
  hive ${name} cocoons:web cocoons:db --timeout 2m
`,
    run: (invocation) => run(change, invocation),
  }
}

async function run(change: Change, invocation: Invocation): Promise<ExitCode> {
  const { io, json } = invocation
  const timeoutMs = parseDuration('--timeout', textOf(invocation.values, 'timeout') ?? '60s')
  const paths = [...new Set(invocation.args.map(servicePath))]
  const client = await invocation.connect()
  let exit: ExitCode = EXIT.ok
  for await (const result of inOrder(paths, (path) => changeOne(change, client, path, { invocation, timeoutMs }))) {
    if (result.status === 'fulfilled') {
      io.stdout.write(`${json ? JSON.stringify(result.value) : serviceLine(result.value)}\n`)
    } else {
      const code = reportFailure(result.reason, json, io)
      exit = exit === EXIT.ok ? code : exit
    }
  }
  return exit
}

async function changeOne(
  { ask, goal, flag }: Change,
  client: Client,
  path: string,
  { invocation, timeoutMs }: { readonly invocation: Invocation; readonly timeoutMs: number },
): Promise<Service> {
  const isFlagged = flag !== undefined && invocation.values[flag.name] === true
  const { service, fromAttempt = 0 } = await ask(client, path, isFlagged ? { [flag.name]: 'true' } : {})
  if (invocation.values['wait'] === false) return service
  return waitFor(client, service, { goal, timeoutMs, fromAttempt })
}

async function read(client: Client, path: string): Promise<Service> {
  return (await client.send('GET', path)) as Service
}

async function post(client: Client, path: string, query: Query): Promise<Service> {
  return (await client.send('POST', path, { query })) as Service
}

async function remove(client: Client, path: string, flags: Query): Promise<Service> {
  try {
    return (await client.send('DELETE', path, { query: { ...flags, wait: 'none' } })) as Service
  } catch (error) {
    // 410: it was removed before, and this is its final record.
    if (error instanceof CliFailure && error.problem.status === 410 && error.problem['service']) {
      return error.problem['service'] as Service
    }
    throw error
  }
}
