const FIRST = 30_000
const SIZE = 40
const RANGES = 60

/** A range for HIVE_PORT_RANGE that test processes running side by side hardly share; outside of the kernel's own. */
export function ownPortRange(): string {
  const first = FIRST + (process.pid % RANGES) * SIZE
  return `${first}-${first + SIZE - 1}`
}
