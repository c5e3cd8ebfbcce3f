import type { RunnerDriver } from '../runners/driver.ts'

type OnCall = (runner: string, call: string, seconds: number, ok: boolean) => void

/** Calls that go to the runner and come back; `wait` ends with the cocoon and would measure only that. */
const MEASURED: ReadonlySet<string> = new Set([
  'probe',
  'prepare',
  'start',
  'inspect',
  'stop',
  'remove',
  'list',
  'listens',
  'exec',
  'stats',
])

/** The same driver, its optional capabilities included, with every call timed. */
export function measuredDriver(driver: RunnerDriver, onCall: OnCall): RunnerDriver {
  return new Proxy(driver, {
    get(target, key) {
      const member: unknown = Reflect.get(target, key, target)
      if (typeof member !== 'function') return member
      if (typeof key !== 'string' || !MEASURED.has(key)) return member.bind(target)
      return async (...args: unknown[]) => {
        const since = performance.now()
        let ok = false
        try {
          const result: unknown = await member.apply(target, args)
          ok = true
          return result
        } finally {
          onCall(target.type, key, (performance.now() - since) / 1000, ok)
        }
      }
    },
  })
}
