import type { ContainerConfig } from '../../kinds/kind.ts'
import { LaunchRefused, type LaunchSpec, RunnerUnreachable } from '../driver.ts'
import type { EngineRefusal } from './request.ts'

/*
 * The Engine API has no error codes, only a status and prose, and Podman answers 500 to nearly everything. So this is
 * the one place that reads the prose.
 */
const PORT_TAKEN = /port is already allocated|address already in use|failed to bind host port|cannot expose port/i
const NOT_NOW = /context (?:canceled|deadline exceeded)|connection (?:closed|refused|error)|transport|shutting down/i
const NO_COMMAND = /executable file .* not found|no such file or directory|not found in \$PATH/i
const NOT_RUNNABLE = /permission denied|exec format error|is a directory/i
const NO_IMAGE = /no such image|image not known|unable to find image/i
const NO_CONTAINER = /no such container/i

/** What to throw when the engine will not create the container. */
export function refusedCreate(error: EngineRefusal, spec: LaunchSpec, config: ContainerConfig): Error {
  const detail = withoutSecrets(error.message, spec)
  if (error.status >= 500 && NOT_NOW.test(detail)) return new RunnerUnreachable(`create: ${detail}`)
  if (NO_IMAGE.test(detail))
    return new LaunchRefused(
      `the image ${config.image} is not on the engine: pull it, or let the kind pull it ("pull")`,
    )
  if (PORT_TAKEN.test(detail)) return portTaken(spec, detail)
  return new LaunchRefused(`the engine refused to create the container: ${detail}`)
}

/** What to throw when the engine will not start the container. */
export function refusedStart(error: EngineRefusal, spec: LaunchSpec, config: ContainerConfig): Error {
  const detail = withoutSecrets(error.message, spec)
  if (NO_CONTAINER.test(detail)) return new RunnerUnreachable('the container was removed while it was being started')
  if (PORT_TAKEN.test(detail)) return portTaken(spec, detail)
  if (error.status >= 500 && NOT_NOW.test(detail)) return new RunnerUnreachable(`start: ${detail}`)
  const command = (config.command ?? config.args ?? []).join(' ') || 'of the image'
  if (NO_COMMAND.test(detail)) return new LaunchRefused(`there is no such command in ${config.image}: ${tail(detail)}`)
  if (NOT_RUNNABLE.test(detail)) return new LaunchRefused(`the command ${command} cannot be run: ${tail(detail)}`)
  return new LaunchRefused(`the engine refused to start the container: ${detail}`)
}

function portTaken(spec: LaunchSpec, detail: string): LaunchRefused {
  const ports = spec.ports.map(({ hostPort }) => String(hostPort))
  const taken = ports.filter((port) => new RegExp(`\\b${port}\\b`).test(detail))
  return new LaunchRefused(`host port ${(taken.length > 0 ? taken : ports).join(', ')} is taken by somebody else`, {
    reason: 'port',
  })
}

/** The last part of a chain such as "failed to create task: OCI runtime create failed: …: exec: "x": not found". */
function tail(detail: string): string {
  const at = detail.search(/exec:|crun:|runc:/)
  return (at === -1 ? detail : detail.slice(at)).replace(/: unknown$/, '')
}

/** Engines may quote a piece of the request. */
function withoutSecrets(text: string, spec: LaunchSpec): string {
  const values = Object.values(spec.env).filter((value) => value.length >= 4)
  const longestFirst = values.sort((a, b) => b.length - a.length)
  return longestFirst.reduce((clean, value) => clean.replaceAll(value, '[redacted]'), text)
}
