import type { ServerResponse } from 'node:http'
import { type FakeEngine, fakeContainer, json } from './fake-engine.ts'

interface Stored {
  readonly id: string
  readonly name: string
  readonly labels: Record<string, string>
  running: boolean
  hasRun: boolean
  readonly waits: ServerResponse[]
}

/** What a fake engine holds, and the most containers of one service that ever were there at once. */
export interface EngineStore {
  readonly containers: Map<string, Stored>
  mostOfOneService(): number
}

const OK = 200
const CREATED = 201
const DONE = 204

/** Teaches a fake engine to keep containers, as far as Hive asks for it. Rules given later win over these. */
export function keepContainers(engine: FakeEngine): EngineStore {
  const containers = new Map<string, Stored>()
  let most = 0
  let count = 0
  const find = (url = ''): Stored | undefined => {
    const reference = decodeURIComponent(url.split('?')[0]?.split('/')[2] ?? '')
    return [...containers.values()].find(({ id, name }) => id === reference || name === reference)
  }
  const end = (container: Stored): void => {
    container.running = false
    for (const response of container.waits.splice(0)) response.end('{"StatusCode":143}')
  }
  const inspect = (container: Stored): object => {
    const started = container.hasRun ? '2026-01-01T00:00:00Z' : '0001-01-01T00:00:00Z'
    const status = container.running ? 'running' : container.hasRun ? 'exited' : 'created'
    const state = { Status: status, Running: container.running, ExitCode: container.running ? 0 : 143 }
    return { ...fakeContainer(container.id, { ...state, StartedAt: started }, container.labels), Name: container.name }
  }
  engine.on('GET /images/', json(OK, { Id: 'sha256:1', Config: {} }))
  engine.on('HEAD /containers/', (response) => response.writeHead(404, { 'api-version': '1.41' }).end())
  engine.on('GET /containers/', (response, request) => {
    const container = find(request.url)
    if (container === undefined) json(404, { message: 'No such container' })(response, request, '')
    else json(OK, inspect(container))(response, request, '')
  })
  engine.on('GET /containers/json', (response, request) => {
    const entry = (each: Stored) => ({
      Id: each.id,
      Names: [`/${each.name}`],
      State: each.running ? 'running' : 'exited',
      Labels: each.labels,
    })
    json(OK, [...containers.values()].map(entry))(response, request, '')
  })
  engine.on('POST /containers/', (response, request) => {
    const container = find(request.url)
    const action = /\/(start|stop|kill|wait)(?:\?|$)/.exec(request.url ?? '')?.[1]
    if (container === undefined) return json(404, { message: 'No such container' })(response, request, '')
    if (action === 'wait') {
      if (container.running) container.waits.push(response)
      else response.writeHead(OK).end('{"StatusCode":143}')
      return
    }
    const changes = action === 'start' ? !container.running : container.running
    if (action === 'start') Object.assign(container, { running: true, hasRun: true })
    else end(container)
    response.writeHead(changes ? DONE : 304).end()
  })
  engine.on('POST /containers/create', (response, request, body) => {
    const name = new URLSearchParams(request.url?.split('?')[1]).get('name') ?? ''
    if ([...containers.values()].some((each) => each.name === name))
      return json(409, { message: `Conflict. The container name "/${name}" is already in use` })(response, request, '')
    const labels = (JSON.parse(body) as { Labels: Record<string, string> }).Labels
    count++
    const id = count.toString(16).padStart(64, '0')
    containers.set(id, { id, name, labels, running: false, hasRun: false, waits: [] })
    const ofService = [...containers.values()].filter((each) => each.labels['hive.id'] === labels['hive.id'])
    most = Math.max(most, ofService.length)
    json(CREATED, { Id: id, Warnings: [] })(response, request, '')
  })
  engine.on('DELETE /containers/', (response, request) => {
    const container = find(request.url)
    if (container === undefined) return json(404, { message: 'No such container' })(response, request, '')
    end(container)
    containers.delete(container.id)
    response.writeHead(DONE).end()
  })
  return { containers, mostOfOneService: () => most }
}
