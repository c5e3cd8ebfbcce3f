import { quoted, type Report } from './report.ts'

const NO_WAY = 'nothing: Hive does not pass it'

/** Options of the engines' own APIs and tools, in lower case without `_` and `-`, and what to write instead. */
const ENGINE_OPTIONS: ReadonlyMap<string, string> = new Map([
  ...[
    ...['privileged', 'hostconfig', 'networkmode', 'network', 'networkingconfig', 'pidmode', 'pid', 'ipcmode', 'ipc'],
    ...[
      'utsmode',
      'uts',
      'cgroupnsmode',
      'cgroupns',
      'cgroupparent',
      'cgroup',
      'devices',
      'devicecgrouprules',
      'runtime',
    ],
    ...['volumesfrom', 'sysctls', 'extrahosts', 'groupadd', 'links', 'oomkilldisable', 'oomscoreadj', 'storageopt'],
  ].map((key): [string, string] => [key, NO_WAY]),
  ['capadd', 'security.cap_add'],
  ['capdrop', 'security.cap_drop'],
  ['securityopt', 'security.seccomp, security.apparmor or security.selinux'],
  ['usernsmode', 'security.userns'],
  ['readonlyrootfs', 'security.read_only'],
  ['devicerequests', 'gpus'],
  ['binds', 'volumes'],
  ['mounts', 'volumes'],
  ['portbindings', 'ports'],
  ['exposedports', 'ports'],
  ['env', 'environment'],
  ['entrypoint', 'command'],
  ['cmd', 'args'],
  ['workingdir', 'working_dir'],
  ['restartpolicy', NO_WAY],
  ['memory', 'resources.memory'],
  ['pidslimit', 'resources.pids'],
])

/** Takes the engine's own options out of a config and reports each with its reason; the rest is returned. */
export function refuseEngineOptions(
  raw: Readonly<Record<string, unknown>>,
  report: Report,
): Readonly<Record<string, unknown>> {
  const kept = Object.entries(raw).filter(([key]) => {
    const right = KIND_FIELDS_SPELT_ALIKE.has(key)
      ? undefined
      : ENGINE_OPTIONS.get(key.toLowerCase().replace(/[_-]/g, ''))
    if (right !== undefined)
      report.problem(null, `${quoted(key)} is an option of the engine, and Hive does not pass it on`, right)
    return right === undefined
  })
  return Object.fromEntries(kept)
}

/** Field names of a kind that would otherwise be taken for an engine's option. */
const KIND_FIELDS_SPELT_ALIKE = new Set(['working_dir'])
