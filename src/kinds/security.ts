import { capability, POWERFUL_CAPABILITIES, resolveCapabilities } from './capabilities.ts'
import { flag, listOf, objectOf, type Read, type Reader, type Readers, text, textLike } from './fields.ts'
import { isPlainAbsolute } from './host-paths.ts'
import type { ContainerSecurity, KindPolicy } from './kind.ts'
import type { Report } from './report.ts'

/** Whose security it is, and what the operator allows it. */
export interface SecurityContext {
  readonly kindId: string
  readonly runner: 'docker' | 'podman'
  readonly policy: KindPolicy
}

/** The words that switch a guard off, by field. */
const GUARD_OFF = { seccomp: 'unconfined', apparmor: 'unconfined', selinux: 'disable', userns: 'host' } as const

/** Every `<what>` of `HIVE_ALLOW_<WHAT>` that a kind can make use of, lower case. */
export const ALLOWABLE: readonly string[] = Object.freeze([
  ...POWERFUL_CAPABILITIES.map((name) => `cap_${name.toLowerCase()}`),
  ...Object.entries(GUARD_OFF).map(([key, off]) => `${key}_${off}`),
])

/** `security` of one kind: what opens a way to the host is refused unless `HIVE_ALLOW_<WHAT>` names the kind. */
export function security(context: SecurityContext): Reader<ContainerSecurity> {
  return (value, field, report) => {
    const read = readSecurity(value, field, report)
    if (read === undefined) return undefined
    refuseUnlessAllowed(read, context, field, report)
    if (context.runner === 'docker' && (read.userns ?? 'host') !== 'host')
      report.problem(`${field}.userns`, 'is known to podman only', '"host", or the runner podman')
    return completed(read)
  }
}

/** What holds when a kind says nothing about security. */
export function secureDefaults(): ContainerSecurity {
  return completed({})
}

const seccomp: Reader<string> = (value, field, report) => {
  const read = text(value, field, report)
  if (read === undefined || read === GUARD_OFF.seccomp || (isPlainAbsolute(read) && read !== '/')) return read
  report.problem(field, 'is not a seccomp profile', 'the absolute path of a profile, or "unconfined"')
  return undefined
}

const fields = {
  cap_add: listOf(capability, 'capabilities'),
  cap_drop: listOf(capability, 'capabilities'),
  read_only: flag,
  seccomp,
  apparmor: textLike(/^[A-Za-z0-9][A-Za-z0-9_.-]*$/, 'the name of a loaded profile, or "unconfined"'),
  selinux: textLike(
    /^(?:disable|(?:user|role|type|level):[A-Za-z0-9_:.,-]+)$/,
    '"disable", or such as "type:container_t"',
  ),
  userns: textLike(
    /^(?:host|private|nomap|auto|keep-id)$/,
    '"host", or with podman "private", "nomap", "auto", "keep-id"',
  ),
  allow_sudo: flag,
} satisfies Readers

const readSecurity = objectOf(fields)

function completed(read: Read<typeof fields>): ContainerSecurity {
  return {
    ...resolveCapabilities(read.cap_add ?? [], read.cap_drop ?? []),
    readOnly: read.read_only ?? false,
    seccomp: read.seccomp ?? null,
    apparmor: read.apparmor ?? null,
    selinux: read.selinux ?? null,
    userns: read.userns ?? null,
    allowSudo: read.allow_sudo ?? false,
  }
}

function refuseUnlessAllowed(read: Read<typeof fields>, context: SecurityContext, field: string, report: Report): void {
  const { kindId, policy } = context
  for (const { key, what } of dangersIn(read)) {
    if (policy.allow.get(what)?.has(kindId)) continue
    const name = `HIVE_ALLOW_${what.toUpperCase()}`
    const right = `a kind without it, or ${name}=${kindId} if this kind is trusted with the host`
    report.problem(`${field}.${key}`, `${name} does not name this kind`, right)
  }
}

function dangersIn(read: Read<typeof fields>): readonly { readonly key: string; readonly what: string }[] {
  const powerful = (read.cap_add ?? []).filter((name) => POWERFUL_CAPABILITIES.includes(name))
  const switchedOff = Object.entries(GUARD_OFF).filter(([key, off]) => read[key as keyof typeof GUARD_OFF] === off)
  return [
    ...powerful.map((name) => ({ key: 'cap_add', what: `cap_${name.toLowerCase()}` })),
    ...switchedOff.map(([key, off]) => ({ key, what: `${key}_${off}` })),
  ]
}
