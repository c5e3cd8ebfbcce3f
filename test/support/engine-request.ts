import { request } from 'node:http'

/** One plain call of an engine's API, beside the driver: to arrange and to check. */
export function engineRequest(
  host: string,
  method: string,
  path: string,
  body?: object,
): Promise<{ readonly status: number; readonly body: unknown }> {
  return new Promise((resolve, reject) => {
    const headers = body === undefined ? {} : { 'content-type': 'application/json' }
    const socketPath = host.replace('unix://', '')
    const call = request({ socketPath, method, path, headers, timeout: 30_000 }, (response) => {
      let text = ''
      response.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk
      })
      response.on('error', reject)
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body: parse(text) }))
    })
    call.on('timeout', () => call.destroy(new Error(`${method} ${path} took too long`)))
    call.on('error', reject).end(body === undefined ? undefined : JSON.stringify(body))
  })
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}
