/** One message: an object with a string `type`, whatever else is in it. */
export interface Message {
  readonly type: string
  readonly body: Readonly<Record<string, unknown>>
}

export type Frame = { readonly message: Message } | { readonly fault: string }

/** No message that a Hive acts on comes near this; larger ones are not even parsed. */
const MESSAGE_LIMIT_BYTES = 1024 * 1024

/** Reads one WebSocket frame; never throws, and the fault repeats nothing of it. */
export function readFrame(data: Buffer, isBinary: boolean): Frame {
  if (isBinary) return { fault: 'a binary frame' }
  if (data.length > MESSAGE_LIMIT_BYTES) return { fault: `a frame of more than ${MESSAGE_LIMIT_BYTES} bytes` }
  const value = parseJson(data.toString('utf8'))
  if (value === undefined) return { fault: 'a frame that is not JSON' }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return { fault: 'JSON that is no object' }
  const body = value as Record<string, unknown>
  const type = Object.hasOwn(body, 'type') ? body['type'] : undefined
  return typeof type === 'string' ? { message: { type, body } } : { fault: 'a message without a type' }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown
  } catch {
    return undefined // the caller says so
  }
}

/** Text from outside as it may stand in a log line or an answer: short, printable. */
export function shown(value: unknown): string {
  const text = typeof value === 'string' ? value : String(JSON.stringify(value) ?? '')
  const safe = text.toWellFormed().replaceAll(/\p{C}/gu, '?')
  return safe.length > 200 ? `${safe.slice(0, 200)}…` : safe
}
