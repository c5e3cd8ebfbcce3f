/**
 * Lets a command say something before Ctrl-C ends it; the signal then does what it always does, so that a shell sees it.
 *
 * @returns the function that gives this up again.
 */
export function onInterrupt(say: () => void): () => void {
  const onSignal = () => {
    say()
    // `once` has taken the handler away: this one ends the process (exit 130 for a shell).
    process.kill(process.pid, 'SIGINT')
  }
  process.once('SIGINT', onSignal)
  return () => void process.off('SIGINT', onSignal)
}
