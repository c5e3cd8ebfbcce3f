/**
 * Does something again and again; never twice at once, and no round for longer than its time. `now` asks for a round at
 * once, one that is asked for during a round follows it; `stop` ends the rounds and waits for the one under way.
 */
export function regularly(
  everyMs: number,
  limitMs: number,
  work: (signal: AbortSignal) => Promise<void>,
): { readonly now: () => void; readonly stop: () => Promise<void> } {
  const stopped = new AbortController()
  let round: Promise<void> | null = null
  let isDue = false
  const run = () => {
    if (round !== null || stopped.signal.aborted) return // a slow round may outlast the beat
    isDue = false
    round = work(AbortSignal.any([stopped.signal, AbortSignal.timeout(limitMs)])).finally(() => {
      round = null
      if (isDue) run()
    })
  }
  const timer = setInterval(run, everyMs)
  timer.unref()
  return {
    now: () => {
      isDue = true
      run()
    },
    stop: async () => {
      clearInterval(timer)
      stopped.abort()
      await round
    },
  }
}
