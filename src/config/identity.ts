import type { HiveConfig } from '../settings.ts'
import type { Environment, SettingSource } from './notes.ts'
import { absolutePath, key, oneOf, plainPath, secret, textBy, webSocketUrl } from './readers.ts'

/** What the settings depend on beside the environment. */
export interface HostFacts {
  /** The user Hive runs as; null where the system has no such numbers. */
  readonly uid: number | null
  readonly home: string
  readonly hostname: string
}

type Identity = Pick<
  HiveConfig,
  | 'stateDir'
  | 'masterKey'
  | 'hiveId'
  | 'hiveSecret'
  | 'signalingUrl'
  | 'signalingProtocol'
  | 'registryAuthFile'
  | 'hostEnvironment'
>

/** Settings of who this Hive is, and where it keeps what it knows. */
export function readIdentity(source: SettingSource, facts: HostFacts): Identity {
  return {
    stateDir: source.read('HIVE_STATE_DIR', absolutePath, defaultStateDir(source.env, facts)),
    masterKey: source.read('HIVE_MASTER_KEY', key, null),
    hiveId: source.read('HIVE_ID', hiveId, facts.hostname),
    hiveSecret: source.read('HIVE_SECRET', secret(1), null),
    signalingUrl: source.read('SIGNALING_SERVER_URL', webSocketUrl, null),
    signalingProtocol: PROTOCOLS[source.read('HIVE_SIGNALING_PROTOCOL', oneOf('auto', '1', '2'), 'auto')],
    registryAuthFile: source.read('HIVE_REGISTRY_AUTH_FILE', absolutePath, null),
    hostEnvironment: hostEnvironment(source.env),
  }
}

const PROTOCOLS = { auto: null, '1': 1, '2': 2 } as const

const hiveId = textBy(
  (text) => (/^[\x21-\x7e]{1,128}$/.test(text) ? text : null),
  '1 to 128 printable characters, no blanks',
)

/** XDG Base Directory Specification: a relative `XDG_STATE_HOME` is to be ignored. */
function defaultStateDir(env: Environment, { uid, home }: HostFacts): string {
  if (uid === 0) return '/var/lib/hive'
  const stateHome = plainPath(env['XDG_STATE_HOME'] ?? '') ?? `${plainPath(env['HOME'] ?? '') ?? home}/.local/state`
  return `${stateHome}/hive`
}

function hostEnvironment(env: Environment): HiveConfig['hostEnvironment'] {
  const { PATH = null, HOME = null, LANG = null, TZ = null, TMPDIR = null } = env
  return { PATH, HOME, LANG, TZ, TMPDIR }
}

/** Lines about settings that are accepted although no code acts on them yet. */
export function notActedOn({ hiveSecret, signalingUrl }: Identity): readonly string[] {
  const lines: string[] = []
  if (hiveSecret !== null && signalingUrl === null)
    lines.push('HIVE_SECRET has no effect without SIGNALING_SERVER_URL.')
  return lines
}
