import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

/** Directories in which the kernel accounts for one cocoon and for nobody else; null = there is none of that kind. */
export interface CgroupDirectories {
  readonly v2: string | null
  /** Of v1 hierarchies. */
  readonly memory: string | null
  readonly cpuacct: string | null
}

export const NO_DIRECTORIES: CgroupDirectories = Object.freeze({ v2: null, memory: null, cpuacct: null })

interface Mounted {
  /** The cgroup that stands at the mount point. */
  readonly root: string
  readonly point: string
}

type Hierarchy = keyof CgroupDirectories

/** Finds cgroups by a process in them. The mounts are read once: they do not change while a host is up. */
export class CgroupFinder {
  #mounts: Readonly<Partial<Record<Hierarchy, Mounted>>> | null = null

  /**
   * @param mark  stands in the name of the cocoon's own cgroups: one without it is shared with others, and its numbers
   *   are theirs, too.
   * @see proc_pid_cgroup(5): `id:controllers:path`; v2 has the id 0 and no controllers.
   */
  directoriesOf(pid: number, mark: string): CgroupDirectories {
    this.#mounts ??= readMounts()
    const found = { ...NO_DIRECTORIES } as Record<Hierarchy, string | null>
    for (const line of readOrEmpty(`/proc/${pid}/cgroup`).split('\n')) {
      const [id, controllers = '', ...rest] = line.split(':')
      const hierarchy = hierarchyOf(id, controllers)
      const mount = hierarchy && this.#mounts[hierarchy]
      if (hierarchy && mount) found[hierarchy] = ownDirectory(mount, rest.join(':'), mark)
    }
    return found
  }
}

function hierarchyOf(id: string | undefined, controllers: string): Hierarchy | null {
  if (id === '0') return 'v2'
  const names = controllers.split(',')
  return names.includes('memory') ? 'memory' : names.includes('cpuacct') ? 'cpuacct' : null
}

/** Engines put processes into cgroups below the one that has the limits and the name. */
function ownDirectory({ root, point }: Mounted, path: string, mark: string): string | null {
  const segments = path.split('/')
  const at = segments.findIndex((segment) => segment.includes(mark))
  if (at === -1) return null
  const own = segments.slice(0, at + 1).join('/')
  const directory = join(point, own.startsWith(root) ? own.slice(root === '/' ? 0 : root.length) : own)
  return existsSync(directory) ? directory : null
}

/** proc_pid_mountinfo(5): `id parent major:minor root point options [optional…] - type source options`. */
function readMounts(): Readonly<Partial<Record<Hierarchy, Mounted>>> {
  const mounts: Partial<Record<Hierarchy, Mounted>> = {}
  for (const line of readOrEmpty('/proc/self/mountinfo').split('\n')) {
    const [type, , options = ''] = line.split(' - ')[1]?.split(' ') ?? []
    const [root, point] = line.split(' ').slice(3, 5)
    const hierarchy = type === 'cgroup2' ? 'v2' : type === 'cgroup' ? hierarchyOf('1', options) : null
    if (hierarchy && root && point) mounts[hierarchy] ??= { root, point }
  }
  return mounts
}

function readOrEmpty(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return '' // the process is gone, or this is not Linux
  }
}
