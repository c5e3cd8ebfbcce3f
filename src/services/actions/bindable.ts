import { createServer } from 'node:net'

/** True if nobody listens on this address right now. The socket is closed again at once. */
export function isBindable(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createServer()
    probe.once('error', () => resolve(false))
    probe.listen({ host, port, exclusive: true }, () => probe.close(() => resolve(true)))
  })
}
