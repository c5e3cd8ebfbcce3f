import { setTimeout as delay } from 'node:timers/promises'
import { Agent, request } from 'undici'

interface Inspected {
  readonly NetworkSettings: { readonly Ports: Record<string, readonly { HostPort: string }[]> }
}

/** Milliseconds of create + start by the bare engine API + the first accepted request, polled each millisecond. */
export async function floorOf(engine: string, image: string): Promise<number> {
  const dispatcher = new Agent({ connect: { socketPath: engine.replace(/^unix:\/\//, '') } })
  const call = async (method: 'GET' | 'POST' | 'DELETE', path: string, body?: unknown) => {
    const answer = await request(`http://engine${path}`, {
      method,
      dispatcher,
      ...(body !== undefined && { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }),
    })
    const text = await answer.body.text()
    if (answer.statusCode >= 400) throw new Error(`${path}: ${answer.statusCode} ${text}`)
    return text === '' ? {} : JSON.parse(text)
  }
  const since = performance.now()
  const { Id } = (await call('POST', '/containers/create', createBody(image))) as { Id: string }
  try {
    await call('POST', `/containers/${Id}/start`)
    const { NetworkSettings } = (await call('GET', `/containers/${Id}/json`)) as Inspected
    const port = Number(NetworkSettings.Ports['8080/tcp']?.[0]?.HostPort)
    while (!(await answers(port))) await delay(1)
    return performance.now() - since
  } finally {
    await call('DELETE', `/containers/${Id}?force=true&v=true`)
    await dispatcher.close()
  }
}

/** The same work Hive asks for, so that the engine's own time is the same. */
function createBody(image: string) {
  return {
    Image: image,
    ExposedPorts: { '8080/tcp': {} },
    HostConfig: {
      Init: true,
      PortBindings: { '8080/tcp': [{ HostIp: '127.0.0.1', HostPort: '' }] },
      PidsLimit: 512,
      CapDrop: ['ALL'],
      SecurityOpt: ['no-new-privileges'],
      Ulimits: [
        { Name: 'nofile', Soft: 1024, Hard: 2048 },
        { Name: 'nproc', Soft: 1024, Hard: 1024 },
      ],
    },
  }
}

function answers(port: number): Promise<boolean> {
  return fetch(`http://127.0.0.1:${port}/`).then(
    async (answer) => {
      await answer.arrayBuffer()
      return true
    },
    () => false,
  )
}
