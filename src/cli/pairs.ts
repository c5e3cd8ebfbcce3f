import { usage } from './failure.ts'
import type { Environment } from './io.ts'

/** `K=V` options into an object; the value may hold further `=`. @throws CliFailure  usage. */
export function parsePairs(option: string, items: readonly string[]): Record<string, string> {
  return Object.fromEntries(items.map((item) => parsePair(option, item)))
}

/** Like {@link parsePairs}, but a bare `K` takes its value from this environment, so that it stays out of argv. */
export function parseEnvironment(items: readonly string[], env: Environment): Record<string, string> {
  return Object.fromEntries(
    items.map((item) => {
      if (item.includes('=') || item === '') return parsePair('--env', item)
      const value = env[item]
      if (value === undefined)
        throw usage(`--env ${item}: there is no such variable here; write ${item}=value`, 'spawn')
      return [item, value] as const
    }),
  )
}

function parsePair(option: string, item: string): readonly [string, string] {
  const at = item.indexOf('=')
  // The item is not repeated: its value may be a secret.
  if (at < 1) throw usage(`${option} takes NAME=value`)
  return [item.slice(0, at), item.slice(at + 1)]
}
