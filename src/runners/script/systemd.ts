import { existsSync } from 'node:fs'
import { execaSync } from 'execa'
import { findTool } from './command.ts'
import { readProc } from './identity.ts'
import { cgroup2Mount } from './mounts.ts'
import type { SystemdView } from './scope.ts'

const ASK_TIMEOUT_MS = 2_000

/** What this machine's systemd is, seen from this process. Asked once per start of Hive. */
export function viewSystemd(searchPath: string | null): SystemdView {
  const uid = process.getuid?.() ?? 0
  return {
    // sd_booted(3)
    booted: existsSync('/run/systemd/system'),
    tool: findTool('systemd-run', searchPath),
    uid,
    mount: cgroup2Mount()?.point ?? null,
    own: /^0::(.*)$/m.exec(readProc(process.pid, 'cgroup') ?? '')?.[1] ?? null,
    run: (tool, args) => {
      const path = findTool(tool, searchPath)
      if (path === null) return null
      const env = uid === 0 ? {} : { XDG_RUNTIME_DIR: `/run/user/${uid}` }
      const options = { env, extendEnv: false, timeout: ASK_TIMEOUT_MS, reject: false, stdin: 'ignore' } as const
      const { failed, stdout } = execaSync(path, args, options)
      return failed ? null : stdout
    },
  }
}
