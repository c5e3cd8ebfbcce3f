import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'

/** Answers one call. Not calling `end` leaves the client waiting, as a stopped daemon does. */
export type Answer = (response: ServerResponse, request: IncomingMessage, body: string) => void

export interface FakeEngine {
  /** `unix:///…` */
  readonly host: string
  /** `GET /containers/json?…` of every call so far, with its body. */
  readonly calls: { readonly line: string; readonly body: string }[]
  /** Connections that are open now. */
  readonly open: Set<Socket>
  /** Later rules win. The key is the method and the start of the path, such as `POST /containers/create`. */
  on(key: string, answer: Answer): void
  /** Answers every call whose line matches with this until mended; `isAfter` = the call has its effect first. */
  fault(line: RegExp, answer: Answer, isAfter: boolean): Fault
  close(): Promise<void>
}

export const json =
  (status: number, body: unknown): Answer =>
  (response) => {
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
  }

export interface Fault {
  /** How many calls it has met. */
  readonly hits: number
  mend(): void
}

/** Says nothing, ever. */
export const silence: Answer = () => {}

/** Breaks the connection off after some bytes of the body. */
export const breakOff =
  (status: number, text: string): Answer =>
  (response) => {
    response.writeHead(status, { 'content-type': 'application/json', 'content-length': text.length + 100 })
    response.write(text, () => response.socket?.destroy())
  }

export const DOCKER_INFO = {
  ID: 'FAKE',
  DockerRootDir: '/fake',
  ServerVersion: '20.10.0',
  MemoryLimit: true,
  CpuCfsQuota: true,
  PidsLimit: true,
  SecurityOptions: [],
}

/** A container as `inspect` tells it. */
export function fakeContainer(id: string, state: object = {}, labels: object = {}): object {
  const running = { Status: 'running', Running: true, Pid: 0, ExitCode: 0, OOMKilled: false }
  return {
    Id: id,
    Name: `/${id}`,
    Image: 'sha256:1',
    State: { ...running, StartedAt: '2026-01-01T00:00:00Z', FinishedAt: '0001-01-01T00:00:00Z', ...state },
    Config: { Labels: labels, Env: null },
    HostConfig: { PortBindings: null },
    Mounts: null,
    NetworkSettings: { IPAddress: '', Networks: null },
  }
}

interface OpenFault {
  readonly line: RegExp
  readonly answer: Answer
  readonly isAfter: boolean
  hits: number
}

/** A daemon on a unix socket that says what it is told to. It is ended after the test. */
export async function openFakeEngine(t: TestContext): Promise<FakeEngine> {
  const directory = await mkdtemp(join(tmpdir(), 'hive-engine-'))
  const rules: [string, Answer][] = [
    ['', json(501, { message: 'not in this fake' })],
    ['HEAD /_ping', (response) => response.writeHead(200).end()],
    ['GET /info', json(200, DOCKER_INFO)],
  ]
  const calls: FakeEngine['calls'] = []
  const faults = new Set<OpenFault>()
  const open = new Set<Socket>()
  const server = createServer((request, response) => {
    let body = ''
    request.setEncoding('utf8').on('data', (chunk: string) => {
      body += chunk
    })
    request.on('end', () => {
      const line = `${request.method} ${request.url}`
      calls.push({ line, body })
      const [, answer = silence] = rules.findLast(([key]) => line.startsWith(key)) ?? []
      const fault = [...faults].find((each) => each.line.test(line))
      if (fault === undefined) return answer(response, request, body)
      fault.hits++
      if (fault.isAfter) answer(new ServerResponse(request), request, body)
      fault.answer(response, request, body)
    })
  })
  server.on('connection', (socket) => {
    open.add(socket)
    socket.on('error', () => {})
    socket.on('close', () => open.delete(socket))
  })
  const path = join(directory, 'engine.sock')
  server.listen(path)
  await once(server, 'listening')
  const close = async (): Promise<void> => {
    if (!server.listening) return
    server.close()
    server.closeAllConnections()
    await once(server, 'close')
  }
  t.after(async () => {
    await close()
    await rm(directory, { recursive: true, force: true })
  })
  const fault: FakeEngine['fault'] = (line, answer, isAfter) => {
    const added: OpenFault = { line, answer, isAfter, hits: 0 }
    faults.add(added)
    return {
      get hits() {
        return added.hits
      },
      mend: () => void faults.delete(added),
    }
  }
  return { host: `unix://${path}`, calls, open, on: (key, answer) => void rules.push([key, answer]), fault, close }
}
