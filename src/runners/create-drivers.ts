import type { HiveConfig } from '../settings.ts'
import { parseEngineAddress } from './container/engine-address.ts'
import { createContainerDriver } from './container.ts'
import type { RunnerDriver } from './driver.ts'
import { runCredentialHelper } from './script/credential-helper.ts'
import { createScriptDriver } from './script/driver.ts'

export interface DriverParts {
  readonly config: HiveConfig
  readonly instanceId: string
  readonly onWarning: (message: string) => void
}

/** All runners there are. A new one is one file beside this and one line here. */
export function createDrivers({ config, instanceId, onWarning }: DriverParts): readonly RunnerDriver[] {
  const { stateDir, hostEnvironment, registryAuthFile } = config
  const engine = { instanceId, registryAuthFile, home: hostEnvironment.HOME, runCredentialHelper, onWarning }
  const engineSockets = [...config.dockerHosts, ...config.podmanHosts].flatMap(socketOf)
  return [
    createContainerDriver({ ...engine, type: 'docker', hosts: config.dockerHosts }),
    createContainerDriver({ ...engine, type: 'podman', hosts: config.podmanHosts }),
    createScriptDriver({ stateDir, instanceId, hostEnvironment, engineSockets, uidRange: config.uidRange, onWarning }),
  ]
}

function socketOf(host: string): string[] {
  const address = parseEngineAddress(host)
  return typeof address === 'object' && 'socketPath' in address ? [address.socketPath] : []
}
