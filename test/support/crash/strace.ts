import { execFileSync } from 'node:child_process'

/**
 * The command line that makes the Nth of some system calls of one thread fail or kill.
 *
 * No --seccomp-bpf: strace 6.1 then loses signals of every `when` but the first, and what outlives it gets ENOSYS.
 *
 * @param calls   such as `fsync,fdatasync`.
 * @param action  such as `signal=SIGKILL:when=3` or `error=EIO:when=3+`.
 * @see strace(1), "Tampering"; the count is kept for each thread.
 */
export function injecting(calls: string, action: string): readonly string[] {
  // -I 1: without it strace with -o and a program blocks TERM, by which it is told to let go.
  const quiet = ['-f', '-I', '1', '-qqq', '-o', '/dev/null']
  return ['strace', ...quiet, '-e', `trace=${calls}`, '-e', `inject=${calls}:${action}`]
}

/** Why nothing can be injected here; false = it can. */
export function noStrace(): string | false {
  try {
    execFileSync('strace', [...injecting('fsync', 'error=EIO').slice(1), 'true'], { stdio: 'ignore' })
    return false
  } catch {
    return 'strace is not installed, or may not trace here'
  }
}
