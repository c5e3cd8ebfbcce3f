import { readFileSync } from 'node:fs'
import { LaunchRefused } from '../driver.ts'
import type { HostTools } from './launcher.ts'

export interface RunAs {
  readonly uid: number
  readonly gid: number
  /** What stands before the command: setpriv and its options. */
  readonly prefix: readonly string[]
}

/**
 * An own uid, which is also the gid: no account, no further group, no capability and no way to any.
 * @throws LaunchRefused  Hive is not root, or setpriv is missing.
 */
export function runAsOwn(uid: number, tools: HostTools): RunAs {
  const setpriv = requireSetpriv('auto', tools)
  const options = ['--clear-groups', '--inh-caps=-all', '--bounding-set=-all', '--no-new-privs', '--']
  return { uid, gid: uid, prefix: [setpriv, '--reuid', String(uid), '--regid', String(uid), ...options] }
}

/** @throws LaunchRefused  a cocoon cannot be run as another user here. */
export function requireSetpriv(user: string, { setpriv }: HostTools): string {
  if (process.getuid?.() !== 0)
    throw new LaunchRefused(`Only a Hive that runs as root can run a cocoon as the user "${user}"`)
  if (setpriv === null) throw new LaunchRefused('Running a cocoon as another user needs setpriv: install util-linux')
  return setpriv
}

/**
 * Whom to run a cocoon as.
 *
 * @param user  `uid[:gid]` or `name[:group]`; null = Hive's own user.
 * @throws LaunchRefused  no such user, Hive is not root, or setpriv is missing.
 * @see setpriv(1)
 */
export function runAs(user: string | null, tools: HostTools): RunAs | null {
  if (user === null) return null
  const { uid, gid, named } = resolveUser(user)
  const own = process.getuid?.()
  if (own === uid && process.getgid?.() === gid) return null
  const setpriv = requireSetpriv(user, tools)
  const groups = named ? '--init-groups' : '--clear-groups'
  return {
    uid,
    gid,
    prefix: [setpriv, '--reuid', String(uid), '--regid', String(gid), groups, '--inh-caps=-all', '--'],
  }
}

function resolveUser(user: string): { uid: number; gid: number; named: boolean } {
  const [name = '', group] = user.split(':', 2)
  const fields = database('/etc/passwd').find(([login, , uid]) => login === name || uid === name)
  const uid = fields ? Number(fields[2]) : number(name)
  if (uid === null) throw new LaunchRefused(`There is no user "${name}" in /etc/passwd`)
  if (group === undefined) return { uid, gid: fields ? Number(fields[3]) : uid, named: fields !== undefined }
  const entry = database('/etc/group').find(([title, , gid]) => title === group || gid === group)
  const gid = entry ? Number(entry[2]) : number(group)
  if (gid === null) throw new LaunchRefused(`There is no group "${group}" in /etc/group`)
  return { uid, gid, named: fields !== undefined }
}

function number(text: string): number | null {
  return /^\d{1,9}$/.test(text) ? Number(text) : null
}

function database(path: string): string[][] {
  try {
    return readFileSync(path, 'utf8')
      .split('\n')
      .map((line) => line.split(':'))
  } catch {
    return []
  }
}
