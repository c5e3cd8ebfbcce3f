import type { Command, Invocation } from '../command.ts'
import { EXIT } from '../failure.ts'
import { printable } from '../io.ts'

interface Address {
  readonly host: string
  readonly port: number
}

interface Exposed {
  readonly name: string
  readonly secret: boolean
  readonly providers: readonly {
    readonly service: string
    readonly state: string
    readonly healthy: boolean
    readonly address: Address | null
  }[]
  readonly consumers: readonly { readonly service: string; readonly state: string; readonly provider: string | null }[]
}

export const exposed: Command = {
  name: 'exposed',
  summary: 'list what cocoons expose to each other',
  help: `Usage: hive exposed [options]

Lists every exposed name with the cocoons that provide it and those that use it.

Examples:
  hive exposed
  hive exposed --json | jq -r '.exposed[].providers[].service'
`,
  run,
}

async function run({ io, json, connect }: Invocation): Promise<number> {
  const client = await connect()
  const answer = (await client.send('GET', '/exposed')) as { exposed: readonly Exposed[] }
  if (json) io.stdout.write(`${JSON.stringify(answer)}\n`)
  else for (const one of answer.exposed) io.stdout.write(textOf(one))
  if (!json && answer.exposed.length === 0) io.stderr.write('Nothing is exposed; `expose` of a kind would do it.\n')
  return EXIT.ok
}

function textOf({ name, secret, providers, consumers }: Exposed): string {
  const lines = [
    `${name}${secret ? '  (secret)' : ''}`,
    ...providers.map(({ service, state, healthy, address }) => {
      const where = address ? `  ${address.host}:${address.port}` : ''
      return `  from cocoons:${service}  ${state}${state === 'running' && !healthy ? ', not usable' : ''}${where}`
    }),
    ...(providers.length === 0 ? ['  from nobody yet'] : []),
    ...consumers.map(
      ({ service, state, provider }) =>
        `  to cocoons:${service}  ${state}  ${provider === null ? 'waits' : `from cocoons:${provider}`}`,
    ),
  ]
  return `${lines.map(printable).join('\n')}\n`
}
