import type { ServiceRecord as Service } from '../services/state/record.ts'
import { usage } from './failure.ts'
import { printable } from './io.ts'

export type { Service }

/** `cocoons:web  running  PID 12345 (native)`: the line of `hive list`, as the project's description fixes it. */
export function serviceLine(service: Service): string {
  return printable(`${service.fqn}  ${service.state}  ${body(service)} (${service.kind})`)
}

function body(service: Service): string {
  if (service.container_id !== null) return `Container ${service.container_id.slice(0, 12)}`
  return service.pid === null ? '-' : `PID ${service.pid}`
}

/** The address that a person should open: its own origin if it has one. */
export function addressOf(service: Service): string | null {
  return service.origin_url ?? service.url
}

/** The path of one service. `cocoons:<name>` is taken wherever a name is. */
export function servicePath(name: string): string {
  const bare = name.replace(/^cocoons:/, '')
  // Checked here because `..` would otherwise walk to another path of the API.
  if (!/^[A-Za-z0-9][A-Za-z0-9_.-]*$/.test(bare)) throw usage(`\`${name}\` is not the name of a service`)
  return `/services/${bare}`
}
