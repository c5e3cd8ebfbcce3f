import type { HiveConfig } from '../../settings.ts'
import { LaunchRefused, type LaunchSpec } from '../driver.ts'
import { MARK_NAME } from './launcher.ts'

export const DEFAULT_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'

/**
 * The whole environment of a cocoon: what the spec says, over PATH, HOME, LANG, TZ and TMPDIR. Nothing else of Hive's.
 * @throws LaunchRefused  a name the launching shell could not pass on, or a value with a NUL; the value is not named.
 */
export function cocoonEnvironment(
  spec: Pick<LaunchSpec, 'env'>,
  host: HiveConfig['hostEnvironment'],
  home: string,
): Record<string, string> {
  const environment: Record<string, string> = { PATH: host.PATH ?? DEFAULT_PATH, HOME: home }
  for (const name of ['LANG', 'TZ', 'TMPDIR'] as const) {
    const value = host[name]
    if (value !== null) environment[name] = value
  }
  for (const [name, value] of Object.entries(spec.env)) {
    if (!isPortableName(name)) {
      throw new LaunchRefused(
        `The environment variable ${JSON.stringify(name)} must be named like [A-Za-z_][A-Za-z0-9_]*`,
      )
    }
    if (value.includes('\0')) throw new LaunchRefused(`The environment variable ${name} must not hold a NUL character`)
    environment[name] = value
  }
  return environment
}

function isPortableName(name: string): boolean {
  return /^[A-Za-z_][A-Za-z0-9_]*$/.test(name) && name !== MARK_NAME && !name.startsWith('__hive_')
}
