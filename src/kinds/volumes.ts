import { listOf, type Reader } from './fields.ts'
import { hostPathFault, isPlainAbsolute } from './host-paths.ts'
import type { KindPolicy, VolumeSpec } from './kind.ts'
import { fillPlaceholders, isPlaceholder, placeholdersIn, template } from './placeholders.ts'
import type { Report } from './report.ts'

const RIGHT = '"name:/path" or "name:/path:ro" with the name of a volume'
const VOLUME_NAME = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,254}$/
/** Stand-ins as short as any real value; their characters are the ones that real values may have. */
const SAMPLE = { kind: 'k', service_name: 's', request_id: 'r', port: '1' }

/** True if a template of a name (of a volume or a container) comes out right whatever is filled in. */
export function isNameTemplate(name: string): boolean {
  return placeholdersIn(name).every(isPlaceholder) && VOLUME_NAME.test(fillPlaceholders(name, SAMPLE))
}

/** `volumes`: named ones, and paths of the host as far as the policy allows them. */
export function volumes(policy: KindPolicy): Reader<readonly VolumeSpec[]> {
  const list = listOf(volume(policy), 'strings')
  return (value, field, report) => {
    const read = list(value, field, report)
    const targets = new Set<string>()
    for (const { target } of read ?? []) {
      if (targets.has(target))
        report.problem(field, 'two volumes have the same path in the container', 'one volume for each path')
      targets.add(target)
    }
    return read
  }
}

function volume(policy: KindPolicy): Reader<VolumeSpec> {
  return (value, field, report) => {
    const read = template(value, field, report)
    if (read === undefined) return undefined
    const [source = '', target = '', mode, ...more] = read.split(':')
    const wrong = sourceFault(source, policy) ?? targetFault(target) ?? modeFault(mode, more)
    if (wrong !== null) return reported(wrong, source, field, report)
    return { kind: source.startsWith('/') ? 'host' : 'volume', source, target, readOnly: mode === 'ro' }
  }
}

function reported(wrong: string, source: string, field: string, report: Report): undefined {
  const right = source.startsWith('/') ? `${RIGHT}, or a path below a prefix in HIVE_ALLOW_HOST_PATHS` : RIGHT
  report.problem(field, wrong, right)
  return undefined
}

function sourceFault(source: string, policy: KindPolicy): string | null {
  if (!source.startsWith('/')) return isNameTemplate(source) ? null : 'does not begin with the name of a volume'
  if (placeholdersIn(source).length > 0) return 'has a placeholder in a path of the host, where nothing is filled in'
  const fault = hostPathFault(source, policy.allowHostPaths)
  return fault === null ? null : `the path before the colon ${fault}`
}

function targetFault(target: string): string | null {
  const isPlain = isPlainAbsolute(target) && target !== '/' && placeholdersIn(target).length === 0
  return isPlain
    ? null
    : 'the path in the container is not absolute and plain (no placeholder, no . or .., not / itself)'
}

function modeFault(mode: string | undefined, more: readonly string[]): string | null {
  if (more.length > 0) return 'has more than three parts'
  return mode === undefined || mode === 'ro' ? null : 'has a third part that is not "ro"'
}
