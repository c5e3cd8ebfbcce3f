import { once } from 'node:events'
import { createServer } from 'node:net'
import { LaunchRefused, type PortBinding } from '../driver.ts'

/**
 * Makes sure that the cocoon can bind each of its ports right now.
 * @throws LaunchRefused  reason `port`: somebody else has it.
 */
export async function verifyPortsFree(ports: readonly PortBinding[], signal: AbortSignal): Promise<void> {
  await Promise.all(ports.map((binding) => verifyFree(binding, signal)))
}

async function verifyFree({ host, hostPort }: PortBinding, signal: AbortSignal): Promise<void> {
  const server = createServer()
  try {
    server.listen({ host, port: hostPort, exclusive: true })
    await once(server, 'listening', { signal })
    server.close()
    await once(server, 'close')
  } catch (error) {
    server.close()
    signal.throwIfAborted()
    const code = (error as NodeJS.ErrnoException).code
    throw new LaunchRefused(`Port ${hostPort} on ${host} cannot be bound (${code})`, { reason: 'port' })
  }
}
