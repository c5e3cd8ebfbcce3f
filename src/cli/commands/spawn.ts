import { randomUUID } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { retryLost } from '../client.ts'
import { type Command, type Invocation, manyOf, textOf } from '../command.ts'
import { EXIT, type ExitCode, usage } from '../failure.ts'
import { onInterrupt } from '../interrupt.ts'
import type { Environment } from '../io.ts'
import { parseEnvironment, parsePairs } from '../pairs.ts'
import { createProgress } from '../progress.ts'
import { addressOf, type Service } from '../service.ts'
import { formatMs, parseDuration } from '../time.ts'
import { waitFor } from '../wait.ts'

export const spawn: Command = {
  name: 'spawn',
  summary: 'spawn a cocoon of a kind and wait until it is ready',
  takes: { what: 'the kind', min: 1, max: 1 },
  options: {
    name: { type: 'string' },
    env: { type: 'string', multiple: true },
    label: { type: 'string', multiple: true },
    'setup-token-file': { type: 'string' },
    'request-id': { type: 'string' },
    wait: { type: 'boolean', default: true },
    timeout: { type: 'string', default: '60s' },
  },
  help: `Usage: hive spawn <kind> [options]

Spawns a cocoon, waits until it is ready and prints its URL (its name, cocoons:<name>, when it has no URL or with
--no-wait). One call makes one cocoon: a lost connection is tried again with the same request id.

  --name <name>            its name (default: one is made)
  --env NAME=value         a variable for it, repeatable; \`--env NAME\` takes the value from this environment
  --label key=value        a label to find it by, repeatable
  --setup-token-file <f>   file that holds its setup token (else COCOON_SETUP_TOKEN of this environment)
  --request-id <id>        your own request id: the same id again gives the same cocoon
  --no-wait                return as soon as Hive has taken the request
  --timeout <time>         how long to wait for it to be ready (60s); Hive goes on after that

Examples:
  hive spawn native
  hive spawn ubuntu --name web --label team=blue --env GREETING=hello
  url=$(hive spawn native --timeout 2m)
`,
  run,
}

async function run(invocation: Invocation): Promise<ExitCode> {
  const { values, io } = invocation
  const timeoutMs = parseDuration('--timeout', textOf(values, 'timeout') ?? '60s')
  const body = await requestBody(invocation)
  const client = await invocation.connect()
  const startedAt = performance.now()
  // Exactly once: Hive answers a second POST of this request_id with the first one's record.
  const accepted = (await retryLost(() => client.send('POST', '/spawn', { body }))) as Service
  if (values['wait'] === false) return printResult(invocation, accepted, accepted.fqn)
  const progress = createProgress(io, invocation.env['TERM'] === 'dumb')
  const onService = invocation.json ? undefined : progress.show
  const forget = onInterrupt(() => {
    if (!invocation.json) progress.end()
    const { fqn, name } = accepted
    io.stderr.write(`${fqn} comes up without us: \`hive show ${name}\` looks at it, \`hive kill ${name}\` removes it\n`)
  })
  let ready: Service
  try {
    ready = await waitFor(client, accepted, { goal: 'ready', timeoutMs, ...(onService && { onService }) })
  } finally {
    forget()
    if (!invocation.json) progress.end()
  }
  if (!invocation.json) io.stderr.write(`${ready.fqn} is ready after ${formatMs(performance.now() - startedAt)}\n`)
  return printResult(invocation, ready, addressOf(ready) ?? ready.fqn)
}

function printResult({ io, json }: Invocation, service: Service, text: string): ExitCode {
  io.stdout.write(`${json ? JSON.stringify(service) : text}\n`)
  return EXIT.ok
}

async function requestBody({ args, values, env }: Invocation): Promise<Record<string, unknown>> {
  const name = textOf(values, 'name')?.replace(/^cocoons:/, '')
  const environment = parseEnvironment(manyOf(values, 'env'), env)
  const labels = parsePairs('--label', manyOf(values, 'label'))
  const setupToken = await readSetupToken(textOf(values, 'setup-token-file'), env)
  return {
    kind: args[0],
    request_id: textOf(values, 'request-id') ?? randomUUID(),
    ...(name !== undefined && { name }),
    ...(setupToken !== undefined && { setup_token: setupToken }),
    ...(Object.keys(environment).length > 0 && { environment }),
    ...(Object.keys(labels).length > 0 && { labels }),
  }
}

/** Never from argv: any user of the machine can read that (proc(5), `/proc/<pid>/cmdline`). */
async function readSetupToken(file: string | undefined, env: Environment): Promise<string | undefined> {
  if (file === undefined) return env['COCOON_SETUP_TOKEN'] || undefined
  let text: string
  try {
    text = await readFile(file, 'utf8')
  } catch (error) {
    throw usage(`--setup-token-file ${file}: ${(error as NodeJS.ErrnoException).code ?? 'unreadable'}`, 'spawn')
  }
  const token = text.trim()
  if (token === '') throw usage(`--setup-token-file ${file} is empty`, 'spawn')
  return token
}
