import { randomUUID } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, rmdirSync } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { cgroup2Mount } from '../../src/runners/script/mounts.ts'
import type { SystemdView } from '../../src/runners/script/scope.ts'

export interface FakeSystemd {
  readonly view: SystemdView
  /** What its systemd-run was called with, one call a line, arguments split by `|`. */
  calls(): Promise<readonly string[]>
}

/**
 * A systemd-run that does in a real v2 hierarchy what systemd does for a scope: makes the cgroup, puts its caller into
 * it, executes the command there. Its manager's cgroup is one of its own, removed after the test.
 */
export async function fakeSystemd(t: TestContext, folder: string): Promise<FakeSystemd> {
  const mount = cgroup2Mount()?.point ?? ''
  const root = `hive-systemd-${randomUUID().slice(0, 8)}`
  const tool = join(folder, 'systemd-run')
  const log = join(folder, 'systemd-run.log')
  mkdirSync(join(mount, root, 'hive.slice'), { recursive: true })
  t.after(() => removeCgroups(join(mount, root)))
  await writeFile(tool, program(join(mount, root), log), { mode: 0o755 })
  const run = (_tool: string, args: readonly string[]) =>
    args.includes('--property=ControlGroup') ? `ControlGroup=/${root}\n` : 'Delegate=no\n'
  const view = { booted: true, run, tool, uid: 0, mount, own: '/system.slice/hive.service' }
  return { view, calls: async () => (await readFile(log, 'utf8')).split('\n').filter(Boolean) }
}

function program(root: string, log: string): string {
  return `#!/bin/sh
call=
for each; do call="$call$each|"; done
echo "$call" >>'${log}'
while [ "$1" != -- ]; do
  case $1 in --unit=*) unit=\${1#--unit=} ;; --slice=*) slice=\${1#--slice=} ;; esac
  shift
done
shift
mkdir -p "${root}/$slice/$unit"
echo $$ >"${root}/$slice/$unit/cgroup.procs"
INVOCATION_ID=of-systemd
export INVOCATION_ID
exec "$@"
`
}

function removeCgroups(folder: string): void {
  if (!existsSync(folder)) return
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    if (entry.isDirectory()) removeCgroups(join(folder, entry.name))
  }
  rmdirSync(folder)
}
