import { request } from 'node:http'

/** A container as the engine itself shows it. */
export interface EngineObject {
  readonly id: string
  readonly serviceId: string
  readonly attempt: number
  readonly running: boolean
  readonly startedAt: string
}

/** All containers of one instance, asked of the engine without any help of Hive. @param host  `unix:///…` */
export async function containersOf(host: string, instance: string): Promise<EngineObject[]> {
  const filters = encodeURIComponent(JSON.stringify({ label: [`hive.instance=${instance}`] }))
  const found = (await ask(host, 'GET', `/containers/json?all=1&filters=${filters}`)) as readonly {
    Id: string
    State: string
    Labels: Record<string, string>
  }[]
  return Promise.all(
    found.map(async ({ Id, State, Labels }) => ({
      id: Id,
      serviceId: Labels['hive.id'] ?? '',
      attempt: Number(Labels['hive.attempt']),
      running: State === 'running',
      startedAt: await startedAt(host, Id),
    })),
  )
}

/** Removes what a test left behind in an engine. */
export async function removeContainersOf(host: string, instance: string): Promise<void> {
  for (const { id } of await containersOf(host, instance)) await ask(host, 'DELETE', `/containers/${id}?force=1&v=1`)
}

async function startedAt(host: string, id: string): Promise<string> {
  const info = (await ask(host, 'GET', `/containers/${id}/json`)) as { State?: { StartedAt?: string } } | null
  return info?.State?.StartedAt ?? ''
}

function ask(host: string, method: string, path: string): Promise<unknown> {
  const { promise, resolve, reject } = Promise.withResolvers<unknown>()
  const call = request({ socketPath: host.replace('unix://', ''), method, path: `/v1.40${path}`, timeout: 20_000 })
  call.on('error', reject)
  call.on('timeout', () => call.destroy(new Error(`${host} does not answer`)))
  call.on('response', (answer) => {
    const chunks: Buffer[] = []
    answer.on('error', reject)
    answer.on('data', (chunk: Buffer) => chunks.push(chunk))
    answer.on('end', () => {
      const text = Buffer.concat(chunks).toString('utf8')
      if ((answer.statusCode ?? 500) < 300) resolve(text === '' ? null : JSON.parse(text))
      else if (answer.statusCode === 404) resolve(null)
      else reject(new Error(`${method} ${path} answered ${answer.statusCode}: ${text}`))
    })
  })
  call.end()
  return promise
}
