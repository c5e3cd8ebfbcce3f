/**
 * The two POSIX sh programs that stand between Hive and a cocoon. `sh -c` runs them, so there is no file to lose.
 *
 * The launcher is a session of its own and stays outside the cocoon's leaf: Hive may die at any moment and the launcher
 * still writes down how the worker ended. It runs the worker in the foreground because POSIX sh starts background jobs
 * with SIGINT and SIGQUIT ignored, and an ignored signal stays ignored across exec.
 *
 * The shim becomes the worker by `exec`. It joins the leaf and records pid and start time first, so that no launched
 * worker is ever without an identity. Every file is made with noclobber (O_EXCL): the first one wins for good.
 *
 * Field 22 of /proc/self/stat is the start time (proc_pid_stat(5)); splitting at blanks is safe for a shell's own name.
 */

const READ_START =
  'read -r __hive_pid _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ __hive_start _ </proc/self/stat || exit 1'

/** Arguments: run directory, leaf or "", sh, setsid, mv, shim text, mark, then the command. */
export const LAUNCHER = `# cocoon launcher
__hive_dir=$1 __hive_leaf=$2 __hive_sh=$3 __hive_setsid=$4 __hive_mv=$5 __hive_shim=$6
shift 6
exec 3>&2 2>/dev/null
${READ_START}
set -C
echo "$__hive_pid $__hive_start" >"$__hive_dir/claim" || exit 0
set +C
trap : HUP INT QUIT TERM
"$__hive_setsid" "$__hive_sh" -c "$__hive_shim" cocoon "$__hive_dir" "$__hive_leaf" "$@" 2>&3 3>&-
__hive_code=$?
[ -e "$__hive_dir/refused" ] && exit 0
[ -z "$__hive_leaf" ] || [ -e "$__hive_dir/stopping" ] || echo 1 >"$__hive_leaf/cgroup.kill"
echo "$__hive_code" >"$__hive_dir/exit.new" && "$__hive_mv" -f "$__hive_dir/exit.new" "$__hive_dir/exit"
`

/** Arguments: run directory, leaf or "", mark, then the command, which starts with an absolute path. */
export const SHIM = `# cocoon shim
__hive_dir=$1 __hive_leaf=$2
HIVE_COCOON_MARK=$3
export HIVE_COCOON_MARK
shift 3
${READ_START}
if [ -n "$__hive_leaf" ]; then
  echo 0 >"$__hive_leaf/cgroup.procs" || { echo cgroup >"$__hive_dir/refused"; exit 1; }
fi
set -C
echo "$__hive_pid $__hive_start" >"$__hive_dir/pid" || exit 1
set +C
unset OLDPWD SHLVL
trap 'echo exec >"$__hive_dir/refused"' EXIT
[ -z "$BASH_VERSION" ] || shopt -s execfail
exec "$@"
echo exec >"$__hive_dir/refused"
`

/** The variable that the shim puts into a cocoon's environment, by which its descendants are found without cgroups. */
export const MARK_NAME = 'HIVE_COCOON_MARK'

export interface HostTools {
  readonly sh: string
  readonly setsid: string
  readonly mv: string
  readonly setpriv: string | null
}

export interface LauncherArguments {
  readonly directory: string
  readonly leaf: string | null
  readonly mark: string
  /** The worker's argv; the first element is an absolute path. */
  readonly command: readonly string[]
}

/** The arguments of `sh` that launch one attempt. */
export function launcherArguments(tools: HostTools, launch: LauncherArguments): string[] {
  const { directory, leaf, mark, command } = launch
  const own = [directory, leaf ?? '', tools.sh, tools.setsid, tools.mv, SHIM, mark]
  return ['-c', LAUNCHER, 'cocoon-launcher', ...own, ...command]
}

/** True if this command line (from /proc) is still the shim's, before its exec. */
export function isShim(commandLine: string): boolean {
  return commandLine.includes(`\0-c\0${SHIM}`)
}
