import type { PortLease } from '../state/record.ts'
import { isBindable } from './bindable.ts'
import type { PortPool, PortWish } from './ports.ts'

/**
 * Leases ports that nobody outside Hive listens on now: another Hive may share the range, and its first numbers are then
 * taken one after the other. Who takes one between this and the launch is met there.
 *
 * @throws HIVE_PORT_TAKEN, HIVE_CAPACITY  as `PortPool.lease` does; nothing is held then.
 */
export async function leaseFree(
  pool: PortPool,
  id: string,
  wishes: readonly PortWish[],
): Promise<readonly PortLease[]> {
  for (;;) {
    const leases = pool.lease(id, wishes)
    const free = await Promise.all(leases.map(({ fixed, host, hostPort }) => fixed || isBindable(host, hostPort)))
    if (free.every(Boolean)) return leases
    pool.discard(leases)
  }
}
