import { ALLOWABLE } from '../kinds/security.ts'
import type { Environment } from './notes.ts'

/** Every setting that starts with HIVE_ and does not name a kind; HIVE_URL is the command line's. */
const KNOWN = [
  ...['HIVE_HOST', 'HIVE_PORT', 'HIVE_PUBLIC_URL', 'HIVE_ALLOWED_HOSTS', 'HIVE_CORS_ORIGINS', 'HIVE_STATE_DIR'],
  ...['HIVE_TOKEN', 'HIVE_AUTH', 'HIVE_MASTER_KEY', 'HIVE_ID', 'HIVE_SECRET', 'HIVE_DOCKER_HOST', 'HIVE_PODMAN_HOST'],
  ...['HIVE_COCOON_DOMAIN', 'HIVE_PROXY_PORT', 'HIVE_PROXY_AUTH', 'HIVE_MAX_COCOONS', 'HIVE_MAX_STARTS'],
  ...['HIVE_PORT_RANGE', 'HIVE_UID_RANGE', 'HIVE_ALLOW_HOST_PATHS', 'HIVE_REGISTRY_AUTH_FILE', 'HIVE_KEEP_ENDED'],
  ...['HIVE_STOP_ON_EXIT', 'HIVE_LOG_LEVEL', 'HIVE_URL', 'HIVE_SIGNALING_PROTOCOL'],
  ...['HIVE_WEBHOOK_URL', 'HIVE_WEBHOOK_SECRET', 'HIVE_USES_TIMEOUT'],
  ...['HIVE_MAX_COCOON_REQUESTS', 'HIVE_MAX_COCOON_TUNNELS'],
]
const ALLOW = 'HIVE_ALLOW_'
const ALLOW_NAMES = ALLOWABLE.map((what) => ALLOW + what.toUpperCase())
/** What no kind can ask for in the first place, so that allowing it changes nothing. */
const NEVER_PASSED = ['privileged', 'devices', 'engine_socket', 'network_host', 'pid_host', 'ipc_host', 'uts_host']
/** Set by Hive for its cocoons, or by its tests: not settings, and no reason to warn. */
const NOT_SETTINGS = /^HIVE_(?:URL_PREFIX$|TEST_|USES_.+_(?:URL|HOST|PORT)$)/

/** True for `HIVE_ALLOW_<WHAT>` of something that a kind can ask for. */
export function isAllowName(name: string): boolean {
  return ALLOW_NAMES.includes(name)
}

/** `HIVE_ALLOW_CAP_SYS_ADMIN` → `cap_sys_admin`. */
export function allowedWhat(name: string): string {
  return name.slice(ALLOW.length).toLowerCase()
}

/** A warning for every variable that starts with HIVE_ and is no setting, with the nearest one as a hint. */
export function unknownNameWarnings(env: Environment): readonly string[] {
  return Object.keys(env)
    .filter(
      (name) => name.startsWith('HIVE_') && !KNOWN.includes(name) && !isAllowName(name) && !NOT_SETTINGS.test(name),
    )
    .map(unknownName)
}

function unknownName(name: string): string {
  const shown = name.slice(0, 64)
  if (name.startsWith(ALLOW) && NEVER_PASSED.includes(allowedWhat(name)))
    return `${shown} has no effect: Hive passes nothing of that to a container.`
  const near = nearestName(name, [...KNOWN, ...ALLOW_NAMES])
  return `${shown} is not a setting of Hive.${near === null ? '' : ` Did you mean ${near}?`}`
}

/** The candidate that the fewest changes of one letter lead to, if no more than a third of the letters change. */
export function nearestName(name: string, candidates: readonly string[]): string | null {
  const limit = Math.min(4, Math.floor(name.length / 3))
  const ranked = candidates
    .filter((candidate) => Math.abs(candidate.length - name.length) <= limit)
    .map((candidate) => ({ candidate, distance: editDistance(name, candidate) }))
    .sort((a, b) => a.distance - b.distance)
  const [best] = ranked
  return best !== undefined && best.distance <= limit ? best.candidate : null
}

/** Levenshtein distance, one row at a time. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index)
  for (let i = 1; i <= a.length; i += 1) {
    const next = [i]
    for (let j = 1; j <= b.length; j += 1) {
      const replaced = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1)
      next.push(Math.min(replaced, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1))
    }
    row = next
  }
  return row[b.length] ?? 0
}
