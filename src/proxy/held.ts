import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import { HiveError } from '../errors.ts'
import { wantsPage } from './answer.ts'
import type { ProxyLimits } from './limits.ts'
import type { Resolution } from './resolve.ts'

export type Sleeping = Extract<Resolution, { kind: 'sleeping' }>

/**
 * Wakes a sleeping cocoon and holds its request until there is another answer. A browser that navigates gets a page
 * that asks again by itself when this takes long.
 *
 * @param again  the same look-up as before.
 * @returns null if the client went away meanwhile.
 */
export async function holdRequest(
  sleeping: Sleeping,
  held: {
    readonly req: IncomingMessage
    readonly client: Socket
    /** `closing` ends the hold, too: Hive ends. */
    readonly by: { readonly limits: ProxyLimits; readonly closing: AbortSignal }
  },
  again: () => Resolution,
): Promise<Exclude<Resolution, Sleeping> | null> {
  const { req, client, by } = held
  const { limits, closing } = by
  const gone = new AbortController()
  const leave = (): void => gone.abort()
  client.once('close', leave)
  try {
    const limit = AbortSignal.timeout(wantsPage(req) ? limits.wakePageMs : limits.wakeMs)
    await sleeping.wake(AbortSignal.any([gone.signal, limit, closing]))
    if (gone.signal.aborted || client.destroyed) return null
    const resolution = again()
    return resolution.kind === 'sleeping' ? stillComing(sleeping) : resolution
  } catch (error) {
    if (error instanceof HiveError) return { kind: 'refused', error }
    return stillComing(sleeping)
  } finally {
    client.off('close', leave)
  }
}

function stillComing({ retryAfterS }: Sleeping): Exclude<Resolution, Sleeping> {
  const error = new HiveError('HIVE_COCOON_NOT_READY', 'This cocoon was asleep and is being started.', { retryAfterS })
  return { kind: 'refused', error }
}
