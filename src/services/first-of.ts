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
