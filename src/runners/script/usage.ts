import { CgroupFinder } from '../usage/cgroup-directories.ts'
import { kernelUsage } from '../usage/kernel-usage.ts'
import { ProcessTable } from '../usage/process-table.ts'
import type { Usage } from '../usage/usage.ts'
import { isInLeaf } from './cgroup.ts'
import { workerRuns } from './containment.ts'
import type { ScriptHandle } from './handle.ts'
import type { ScriptHost } from './host.ts'
import { MARK_NAME } from './launcher.ts'
import { targetOf } from './objects.ts'

const SHARED_NETWORK = 'a native process shares the network of its host'

/** Tells what script cocoons use. Without a leaf (containment `group`) it is a best effort, as all of that containment. */
export class ScriptUsage {
  readonly #cgroups = new CgroupFinder()
  readonly #processes = new ProcessTable()
  readonly #host: ScriptHost

  constructor(host: ScriptHost) {
    this.#host = host
  }

  /** null = its worker does not run. */
  of(script: ScriptHandle): Usage | null {
    const identity = targetOf(this.#host, script).identity()
    const { worker, leaf } = identity
    if (worker === null || !workerRuns(identity, this.#host.bootId)) return null
    // Its leaves in v1 hierarchies, which it has only for limits, are named after the attempt.
    const named = this.#cgroups.directoriesOf(worker.pid, `${script.id}.${script.attempt}`)
    const mark = { variable: MARK_NAME, value: identity.mark }
    // Of a worker that has left its leaf that would tell nothing.
    const own = leaf !== null && isInLeaf(worker.pid, identity) ? leaf : named.v2
    const usage = kernelUsage({ ...named, v2: own }, () => this.#processes.familyOf(worker.pid, mark))
    // Were it gone by now, these numbers could be those of nobody.
    if (!workerRuns(identity, this.#host.bootId)) return null
    return { ...usage, network: null, unknown: { ...usage.unknown, network: SHARED_NETWORK } }
  }
}
