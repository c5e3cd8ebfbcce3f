import { lstatSync, realpathSync, statSync } from 'node:fs'
import { basename, dirname, join, normalize, sep } from 'node:path'

/** Where engines listen. Whoever reaches one of these owns the host, so nothing that holds one is ever mounted. */
const ENGINE_SOCKETS = [
  ...['/run/docker.sock', '/var/run/docker.sock', '/run/podman/podman.sock', '/var/run/podman/podman.sock'],
  ...['/run/containerd/containerd.sock', '/run/crio/crio.sock', '/run/buildkit/buildkitd.sock'],
]
/** Each user's runtime directory may hold a rootless engine's socket. */
const RUNTIME_ROOT = '/run/user'

/**
 * Why a path of the host must not be mounted into a cocoon, or null if it may be: it lies below an allowed prefix, both
 * with all symbolic links followed, and is no engine socket. Worth asking again right before each launch.
 *
 * @param path     Absolute path; what does not exist yet is judged by its nearest existing parent.
 * @param allowed  `HIVE_ALLOW_HOST_PATHS`.
 */
export function hostPathFault(path: string, allowed: readonly string[]): string | null {
  if (!isPlainAbsolute(path)) return 'is not an absolute path without . and .. in it'
  const real = realPath(path)
  if (real === null) return 'cannot be followed to its end'
  if (reachesEngine(real)) return 'is or holds the socket of a container engine, which is never passed on'
  if (isSocket(real)) return 'is a socket, which is never passed on'
  const isAllowed = allowed.some((prefix) => {
    const realPrefix = realPath(prefix)
    return realPrefix !== null && isWithin(real, realPrefix)
  })
  return isAllowed ? null : 'is a path of the host outside HIVE_ALLOW_HOST_PATHS'
}

/** True for `/a/b`: absolute, no empty, `.` or `..` segment, no slash at the end. `/` itself counts too. */
export function isPlainAbsolute(path: string): boolean {
  return (
    path.startsWith('/') && !path.includes('\0') && normalize(path) === path && (path === '/' || !path.endsWith('/'))
  )
}

/** True if `path` is `parent` or lies below it. Both plain and absolute. */
export function isWithin(path: string, parent: string): boolean {
  return path === parent || path.startsWith(parent.endsWith(sep) ? parent : parent + sep)
}

/** Follows all links of the part that exists; the rest is appended as it is. null = a loop, or not permitted. */
function realPath(path: string): string | null {
  try {
    return realpathSync(path)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    // A link to nowhere exists by itself: its target could appear later, anywhere.
    if (code !== 'ENOENT' || path === '/' || isLink(path)) return null
    const parent = realPath(dirname(path))
    return parent === null ? null : join(parent, basename(path))
  }
}

function isLink(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() ?? false
}

function isSocket(path: string): boolean {
  try {
    return statSync(path, { throwIfNoEntry: false })?.isSocket() ?? false
  } catch {
    return true // Not even its type can be seen: treated as the worst it could be.
  }
}

function reachesEngine(real: string): boolean {
  if (isWithin(RUNTIME_ROOT, real) || isUserRuntime(real)) return true
  return ENGINE_SOCKETS.some((socket) => isWithin(socket, real) || isWithin(realPath(socket) ?? socket, real))
}

/** `/run/user/<uid>` and the `podman` directory in it; other directories there hold no engine. */
function isUserRuntime(real: string): boolean {
  if (!isWithin(real, RUNTIME_ROOT)) return false
  const [, , , , inside, ...deeper] = real.split('/')
  const holdsSocket = inside === undefined || inside === 'podman' || inside === 'docker.sock'
  return holdsSocket && deeper.length <= 1
}
