import { existsSync, realpathSync, statSync } from 'node:fs'
import { basename, dirname, isAbsolute, join, relative } from 'node:path'
import { programsOf } from './command.ts'

/** What a sandboxed cocoon is shown of the host, each read-only; nothing else of it is there. */
export interface Shown {
  readonly directories: readonly string[]
  readonly files: readonly string[]
}

/** Programs, libraries and what says where they are. No /etc/shadow, no host keys, no /run, no /var, no /home. */
export const SYSTEM_DIRECTORIES = [
  '/usr',
  '/bin',
  '/sbin',
  '/lib',
  '/lib32',
  '/lib64',
  '/libx32',
  '/nix/store',
  '/gnu/store',
]
export const ETC_NAMES: readonly string[] = [
  ...['ld.so.cache', 'ld.so.conf', 'ld.so.conf.d', 'ld-musl-x86_64.path', 'alternatives', 'localtime', 'timezone'],
  ...['resolv.conf', 'hosts', 'host.conf', 'gai.conf', 'nsswitch.conf', 'services', 'protocols', 'passwd', 'group'],
  ...['ssl', 'pki', 'ca-certificates', 'crypto-policies', 'mime.types', 'os-release'],
]
/** Directories that hold other people's things: of these a file is shown alone, never its neighbours. */
const BROAD = ['/', '/etc', '/home', '/root', '/run', '/tmp', '/var', '/var/tmp', '/srv', '/opt', '/mnt', '/media']
const NEVER = ['/proc', '/sys', '/dev', '/run', '/var/run']

/**
 * What the command needs: its directory and the libraries beside it (`bin` → `lib`), its interpreter likewise, and the
 * directory of each file that an argument names (a script beside its modules).
 *
 * @param hidden  what is never shown: the state directory with all below it, and the sockets of engines.
 */
export function shownTo(
  command: string,
  args: readonly string[],
  searchPath: string | null,
  hidden: { readonly stateDir: string; readonly sockets: readonly string[] },
): Shown {
  const files = [...programsOf(command, searchPath), ...args.filter(isFile)].flatMap((path) => [path, realpathOf(path)])
  const directories = new Set<string>()
  const alone = new Set<string>()
  for (const file of new Set(files)) {
    const folder = dirname(file)
    if (isBelowAny(file, SYSTEM_DIRECTORIES) || isBelowAny(file, NEVER)) continue
    const isNear = isBelow(file, hidden.stateDir) || holdsAny(folder, [hidden.stateDir, ...hidden.sockets])
    if (BROAD.includes(folder) || dirname(folder) === '/home' || isNear) alone.add(file)
    else for (const each of [folder, ...librariesBeside(folder)]) directories.add(each)
  }
  return {
    directories: [...directories],
    files: [...alone].filter((file) => ![...directories].includes(dirname(file))),
  }
}

export function isBelow(path: string, folder: string): boolean {
  const way = relative(folder, path)
  return way === '' || !(way === '..' || way.startsWith('../') || isAbsolute(way))
}

function holdsAny(folder: string, paths: readonly string[]): boolean {
  return paths.some((path) => isBelow(path, folder))
}

function isBelowAny(path: string, folders: readonly string[]): boolean {
  return folders.some((folder) => isBelow(path, folder))
}

function librariesBeside(folder: string): string[] {
  if (basename(folder) !== 'bin') return []
  return ['lib', 'lib64', 'libexec', 'share', 'include', 'pyvenv.cfg']
    .map((name) => join(dirname(folder), name))
    .filter((path) => existsSync(path))
}

function isFile(path: string): boolean {
  try {
    return isAbsolute(path) && statSync(path).isFile()
  } catch {
    return false
  }
}

/** The path without links; itself if it leads nowhere. */
export function realpathOf(path: string): string {
  try {
    return realpathSync(path)
  } catch {
    return path
  }
}
