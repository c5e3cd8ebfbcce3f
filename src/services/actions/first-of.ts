/** The first of several to settle; the others are aborted and waited for. */
export async function firstOf<Result>(
  signal: AbortSignal,
  contestants: readonly ((signal: AbortSignal) => Promise<Result>)[],
): Promise<Result> {
  const over = new AbortController()
  const inner = AbortSignal.any([signal, over.signal])
  const all = contestants.map((contestant) => contestant(inner))
  try {
    return await Promise.race(all)
  } finally {
    over.abort(new Error('something else came first'))
    await Promise.allSettled(all)
  }
}

/** Never resolves: a contestant that has nothing to wait for. */
export function untilAborted(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    if (signal.aborted) reject(signal.reason)
    signal.addEventListener('abort', () => reject(signal.reason), { once: true })
  })
}
