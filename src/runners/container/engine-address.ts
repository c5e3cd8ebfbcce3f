/** Where an engine's API answers, as the engine client wants it. */
export type EngineAddress =
  | { readonly text: string; readonly socketPath: string }
  | { readonly text: string; readonly host: string; readonly port: number }

const DEFAULT_PORT = 2375

/**
 * Reads `unix:///path`, a bare absolute path, `tcp://host[:port]` or `http://host[:port]`.
 * @returns the address, or a sentence that says what is wrong.
 */
export function parseEngineAddress(text: string): EngineAddress | string {
  const path = text.startsWith('unix://') ? text.slice('unix://'.length) : text
  if (path.startsWith('/')) return { text: `unix://${path}`, socketPath: path }
  const url = URL.canParse(text) ? new URL(text) : null
  if (url?.protocol !== 'tcp:' && url?.protocol !== 'http:')
    return `${JSON.stringify(text)} is not an engine address: write unix:///path/to.sock, tcp://host:port or http://host:port`
  if (url.hostname === '') return `${JSON.stringify(text)} names no host`
  if (url.username !== '' || url.password !== '') return 'an engine address must not hold credentials'
  const port = url.port === '' ? DEFAULT_PORT : Number(url.port)
  return { text: `tcp://${url.hostname}:${port}`, host: url.hostname, port }
}
