import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { describe, it, type TestContext } from 'node:test'
import { leaseFree } from '../../src/services/actions/free-ports.ts'
import { PortPool } from '../../src/services/actions/ports.ts'

const WISH = { port: null, hostPort: null, name: null }

async function stranger(t: TestContext, port = 0): Promise<number> {
  const server = createServer().listen(port, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close())
  return (server.address() as AddressInfo).port
}

function poolOf(first: number, count: number, now = () => 0): PortPool {
  return new PortPool({ first, last: first + count - 1 }, now)
}

describe('leaseFree', () => {
  it('passes over every port that a stranger listens on, however many come first', async (t) => {
    const taken = new Set<number>()
    const first = await stranger(t)
    taken.add(first)
    for (let port = first + 1; port < first + 8; port++) taken.add(await stranger(t, port).catch(() => port))
    const leases = await leaseFree(poolOf(first, 40), 'a', [WISH, WISH])
    const ports = leases.map(({ hostPort }) => hostPort)
    assert.ok(
      ports.every((port) => !taken.has(port)),
      String(ports),
    )
    assert.notEqual(ports[0], ports[1])
  })

  it('says that the range is used up when strangers have all of it, and holds nothing', async (t) => {
    let now = 0
    const port = await stranger(t)
    const pool = poolOf(port, 1, () => now)
    await assert.rejects(leaseFree(pool, 'a', [WISH]), { code: 'HIVE_CAPACITY' })
    now += 61_000
    assert.equal(pool.lease('b', [WISH])[0]?.hostPort, port)
  })

  it('leaves a fixed port to the launch, which tells who has it', async (t) => {
    const port = await stranger(t)
    const leases = await leaseFree(poolOf(port + 1, 10), 'a', [{ port: 80, hostPort: port, name: null }])
    assert.equal(leases[0]?.hostPort, port)
  })
})
