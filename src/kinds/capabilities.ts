import { type Reader, text } from './fields.ts'
import { quoted } from './report.ts'

/** What a container may do out of the box: everything else is dropped. */
export const DEFAULT_CAPABILITIES: readonly string[] = Object.freeze([
  ...['CHOWN', 'DAC_OVERRIDE', 'FOWNER', 'SETUID', 'SETGID', 'KILL', 'NET_BIND_SERVICE'],
])

/** Engines hand these out by default: adding one back needs no leave. */
const HARMLESS = ['FSETID', 'MKNOD', 'NET_RAW', 'SETFCAP', 'SETPCAP', 'SYS_CHROOT', 'AUDIT_WRITE']

/** The rest of capabilities(7). Each of these opens a way to the host, or may. */
export const POWERFUL_CAPABILITIES: readonly string[] = Object.freeze([
  ...[
    'ALL',
    'AUDIT_CONTROL',
    'AUDIT_READ',
    'BLOCK_SUSPEND',
    'BPF',
    'CHECKPOINT_RESTORE',
    'DAC_READ_SEARCH',
    'IPC_LOCK',
  ],
  ...['IPC_OWNER', 'LEASE', 'LINUX_IMMUTABLE', 'MAC_ADMIN', 'MAC_OVERRIDE', 'NET_ADMIN', 'NET_BROADCAST', 'PERFMON'],
  ...['SYSLOG', 'SYS_ADMIN', 'SYS_BOOT', 'SYS_MODULE', 'SYS_NICE', 'SYS_PACCT', 'SYS_PTRACE', 'SYS_RAWIO'],
  ...['SYS_RESOURCE', 'SYS_TIME', 'SYS_TTY_CONFIG', 'WAKE_ALARM'],
])

const KNOWN = new Set([...DEFAULT_CAPABILITIES, ...HARMLESS, ...POWERFUL_CAPABILITIES])

/** A capability by its name of capabilities(7), with or without `CAP_`, in any case; read as the engines write it. */
export const capability: Reader<string> = (value, field, report) => {
  const read = text(value, field, report)?.toUpperCase().replace(/^CAP_/, '')
  if (read === undefined || KNOWN.has(read)) return read
  report.problem(field, `${quoted(read)} is not a Linux capability`, 'a name such as "NET_RAW"')
  return undefined
}

/**
 * What to drop and what to add back, in the engines' words: all are dropped; then come back the default ones that the
 * kind does not drop, and those it adds.
 */
export function resolveCapabilities(
  add: readonly string[],
  drop: readonly string[],
): { readonly capAdd: readonly string[]; readonly capDrop: readonly string[] } {
  const dropped = DEFAULT_CAPABILITIES.filter((name) => drop.includes('ALL') || drop.includes(name))
  const kept = DEFAULT_CAPABILITIES.filter((name) => !dropped.includes(name))
  return { capAdd: [...new Set([...kept, ...add])], capDrop: ['ALL', ...dropped.filter((name) => !add.includes(name))] }
}
