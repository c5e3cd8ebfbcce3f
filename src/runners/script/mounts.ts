import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { readProc } from './identity.ts'

export type ControllerName = 'memory' | 'cpu' | 'pids'

/**
 * Hive's own cgroup in the v2 hierarchy: the pure one, or the `unified` one of a hybrid host. Null = there is none.
 * @see proc_pid_cgroup(5): `id:controllers:path`; v2 has the id 0 and no controllers.
 */
export function ownCgroup2(): string | null {
  return ownCgroup((line) => line.startsWith('0::'), mountOf('cgroup2'))
}

/** Hive's own cgroup in the v1 hierarchy of a controller. Null = that controller is not on v1 here. */
export function ownCgroup1(controller: ControllerName): string | null {
  const isIts = (line: string) => line.split(':')[1]?.split(',').includes(controller) ?? false
  return ownCgroup(isIts, mountOf('cgroup', controller))
}

/** Where the v2 hierarchy is mounted, and which cgroup stands at that place. */
export function cgroup2Mount(): Mount | null {
  return mountOf('cgroup2')
}

interface Mount {
  readonly root: string
  readonly point: string
}

function ownCgroup(isIts: (line: string) => boolean, mount: Mount | null): string | null {
  const path = readProc(process.pid, 'cgroup')?.split('\n').find(isIts)?.split(':').slice(2).join(':')
  if (path === undefined || mount === null) return null
  const below = path.startsWith(mount.root) ? path.slice(mount.root === '/' ? 0 : mount.root.length) : path
  const own = join(mount.point, below)
  return existsSync(join(own, 'cgroup.procs')) ? own : null
}

/** proc_pid_mountinfo(5): `id parent major:minor root point options [optional…] - type source options`. */
function mountOf(type: 'cgroup' | 'cgroup2', controller?: ControllerName): Mount | null {
  try {
    const lines = readFileSync('/proc/self/mountinfo', 'utf8').split('\n')
    const line = lines.find((text) => {
      const [found, , options = ''] = text.split(' - ')[1]?.split(' ') ?? []
      return found === type && (controller === undefined || options.split(',').includes(controller))
    })
    const [root, point] = line?.split(' ').slice(3, 5) ?? []
    return root && point ? { root, point } : null
  } catch {
    return null
  }
}
