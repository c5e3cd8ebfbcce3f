import type { ServerResponse } from 'node:http'

/** A reader that takes nothing for this long is let go; it can come back and go on where it was. */
const STALL_MS = 30_000
const FAREWELL_MS = 1_000
/** One that vanished without a word is noticed this long after its last sign, and ten seconds. */
const KEEPALIVE_MS = 30_000

export interface StreamAnswer {
  readonly headers: Readonly<Record<string, string>>
  /** Each piece is written when the one before has left for the network: nothing piles up. */
  readonly pieces: AsyncIterable<string>
  /** The last words for a reader that is let go. */
  readonly farewell: () => string
  readonly stallMs?: number
}

/** Writes an answer that may go on for ever. Resolves when it is over, whoever ended it; never throws. */
export async function streamAnswer(response: ServerResponse, answer: StreamAnswer): Promise<void> {
  response.on('error', () => undefined) // 'close' follows
  response.socket?.setKeepAlive(true, KEEPALIVE_MS)
  response.writeHead(200, { ...answer.headers })
  response.flushHeaders()
  try {
    for await (const piece of answer.pieces) {
      if (response.destroyed) return
      if (response.write(piece)) continue
      if (await drains(response, answer.stallMs ?? STALL_MS)) continue
      return letGo(response, answer.farewell())
    }
    response.end()
  } catch {
    // The head is out: breaking off is all that is left to say it.
    response.destroy()
  }
}

/** Adds what the reader may still take of it; then the connection is cut. */
function letGo(response: ServerResponse, farewell: string): void {
  if (response.destroyed) return
  response.end(farewell)
  const cut = setTimeout(() => response.destroy(), FAREWELL_MS)
  response.once('close', () => clearTimeout(cut))
}

/** False when it has not drained in time, or is gone. */
function drains(response: ServerResponse, ms: number): Promise<boolean> {
  return new Promise((resolve) => {
    const finish = (drained: boolean) => {
      clearTimeout(timer)
      response.off('drain', onDrain).off('close', onClose)
      resolve(drained)
    }
    const onDrain = () => finish(true)
    const onClose = () => finish(false)
    const timer = setTimeout(() => finish(false), ms)
    response.once('drain', onDrain).once('close', onClose)
  })
}

/** Resolves with the first of: `arm`'s callback, the time, the signal. */
export function wakeUp(arm: (wake: () => void) => () => void, ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const finish = () => {
      clearTimeout(timer)
      disarm()
      signal.removeEventListener('abort', finish)
      resolve()
    }
    const disarm = arm(finish)
    const timer = setTimeout(finish, ms)
    signal.addEventListener('abort', finish, { once: true })
    if (signal.aborted) finish()
  })
}
