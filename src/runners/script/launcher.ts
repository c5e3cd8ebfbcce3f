import { createHash, randomUUID } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

/**
 * The POSIX sh program that stands between Hive and a cocoon, twice.
 *
 * `launch` is a session of its own and stays outside the cocoon's leaf: Hive may die at any moment and it still writes
 * down how the worker ended. It runs the worker in the foreground because POSIX sh starts background jobs with SIGINT
 * and SIGQUIT ignored, and an ignored signal stays ignored across exec.
 *
 * `shim` becomes the worker by `exec`. It joins the leaf and records pid and start time first, so that no launched
 * worker is ever without an identity. Every file is made with noclobber (O_EXCL): the first one wins for good.
 *
 * Both read `plan`, lines of a step and its argument: `join LEAF` (a v1 leaf of limits), `unset NAME` (of the
 * environment), `oom FILE` (where the kernel counts OOM kills).
 *
 * Field 22 of /proc/self/stat is the start time (proc_pid_stat(5)); splitting at blanks is safe for a shell's own name.
 */
const LAUNCHER = `#!/bin/sh
# Hive's launcher of script cocoons: see src/runners/script/launcher.ts.
# launch DIRECTORY LEAF MARK SH SETSID MV MKDIR COMMAND [ARGUMENT...] | shim DIRECTORY LEAF MARK COMMAND [ARGUMENT...]
__hive_mode=$1 __hive_dir=$2 __hive_leaf=$3 __hive_mark=$4
shift 4
if [ "$__hive_mode" = launch ]; then exec 9>&2 2>/dev/null; fi
read -r __hive_pid _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ __hive_start _ </proc/self/stat || exit 1

if [ "$__hive_mode" = launch ]; then
  __hive_sh=$1 __hive_setsid=$2 __hive_mv=$3 __hive_mkdir=$4
  shift 4
  set -C
  echo "$__hive_pid $__hive_start" >"$__hive_dir/claim" || exit 0
  set +C
  trap : HUP INT QUIT TERM
  # A scope of systemd is made around this launcher, so only from inside it the leaf can be made.
  if [ -n "$__hive_leaf" ] && ! [ -d "$__hive_leaf" ]; then "$__hive_mkdir" "$__hive_leaf"; fi
  # In a subshell: with the redirection out here, dash would write "Terminated" into the cocoon's own stderr.
  ( exec "$__hive_setsid" "$__hive_sh" "$0" shim "$__hive_dir" "$__hive_leaf" "$__hive_mark" "$@" 2>&9 9>&- )
  __hive_code=$?
  if [ -e "$__hive_dir/refused" ]; then exit 0; fi
  # An OOM kill is told by the kernel's counter, which goes with the leaf.
  __hive_oom=
  while read -r __hive_step __hive_path; do
    if [ "$__hive_step" = oom ]; then
      while read -r __hive_key __hive_count; do
        if [ "$__hive_key" = oom_kill ] && [ "$__hive_count" != 0 ]; then __hive_oom=' oom'; fi
      done <"$__hive_path"
    fi
  done <"$__hive_dir/plan"
  # The cocoon ends with its worker, unless Hive is stopping it and gives its children their grace.
  if [ -n "$__hive_leaf" ] && ! [ -e "$__hive_dir/stopping" ]; then echo 1 >"$__hive_leaf/cgroup.kill"; fi
  echo "$__hive_code$__hive_oom" >"$__hive_dir/exit.new" && "$__hive_mv" -f "$__hive_dir/exit.new" "$__hive_dir/exit"
  exit 0
fi

if [ -n "$__hive_leaf" ]; then
  echo 0 >"$__hive_leaf/cgroup.procs" || { echo cgroup >"$__hive_dir/refused"; exit 1; }
fi
while read -r __hive_step __hive_path; do
  case $__hive_step in
    join) echo 0 >"$__hive_path/cgroup.procs" || { echo limits >"$__hive_dir/refused"; exit 1; } ;;
    unset) unset "$__hive_path" ;;
  esac
done <"$__hive_dir/plan"
set -C
echo "$__hive_pid $__hive_start" >"$__hive_dir/pid" || exit 1
set +C
HIVE_COCOON_MARK=$__hive_mark
export HIVE_COCOON_MARK
unset OLDPWD SHLVL
# dash and busybox run the trap when exec fails; bash goes on behind it.
trap 'echo exec >"$__hive_dir/refused"' EXIT
if [ -n "$BASH_VERSION" ]; then shopt -s execfail; fi
exec "$@"
`

/** The descriptor of a program whose content was checked, open in launcher and worker. */
export const PROGRAM_FD = 3

/** The variable that the shim puts into a cocoon's environment, by which its descendants are found without cgroups. */
export const MARK_NAME = 'HIVE_COCOON_MARK'

export interface HostTools {
  readonly sh: string
  readonly setsid: string
  readonly mv: string
  readonly mkdir: string
  readonly setpriv: string | null
  readonly prlimit: string | null
  readonly nsenter: string | null
}

export interface LauncherArguments {
  readonly directory: string
  readonly leaf: string | null
  readonly mark: string
  /** The worker's argv; the first element is an absolute path. */
  readonly command: readonly string[]
}

/**
 * Puts the launcher's file into a directory, unless it is there and whole. Its name depends on its text, so launchers
 * of another Hive version go on reading their own.
 * @returns its path.
 */
export async function installLauncher(directory: string): Promise<string> {
  const file = join(directory, `.launcher-${createHash('sha256').update(LAUNCHER).digest('hex').slice(0, 8)}`)
  if (existsSync(file) && (await readFile(file, 'utf8')) === LAUNCHER) return file
  const draft = `${file}-${randomUUID()}`
  await mkdir(directory, { recursive: true, mode: 0o700 })
  await writeFile(draft, LAUNCHER, { mode: 0o600, flag: 'wx' })
  await rename(draft, file)
  return file
}

/** The arguments of `sh` that launch one attempt. */
export function launcherArguments(tools: HostTools, file: string, launch: LauncherArguments): string[] {
  const { directory, leaf, mark, command } = launch
  return [file, 'launch', directory, leaf ?? '', mark, tools.sh, tools.setsid, tools.mv, tools.mkdir, ...command]
}

/** True if this command line (from /proc) is a launcher's. */
export function isLauncher(commandLine: string): boolean {
  return /^[^\0]+\0[^\0]*\/\.launcher-[0-9a-f]{8}\0launch\0/.test(commandLine)
}

/** True if this command line (from /proc) is still the shim's, before its exec. */
export function isShim(commandLine: string): boolean {
  return /^[^\0]+\0[^\0]*\/\.launcher-[0-9a-f]{8}\0shim\0/.test(commandLine)
}
