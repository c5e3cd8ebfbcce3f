import type { FastifyInstance } from 'fastify'
import { buildApp } from '../../../src/app.ts'
import { readConfig } from '../../../src/config.ts'
import { createLogger } from '../../../src/logging.ts'
import { createContainerDriver } from '../../../src/runners/container.ts'
import type { RunnerDriver } from '../../../src/runners/driver.ts'
import { runCredentialHelper } from '../../../src/runners/script/credential-helper.ts'
import { createScriptDriver } from '../../../src/runners/script/driver.ts'
import { openStateDirectory, type StateDirectory } from '../../../src/services/state-directory.ts'
import { openServiceTable, type StateStore } from '../../../src/services/table.ts'
import type { HiveConfig } from '../../../src/settings.ts'

export type Point = (name: string) => void

/** A whole Hive whose every durable write and every effect is between two points. */
export async function createServices(env: NodeJS.ProcessEnv, point: Point): Promise<FastifyInstance> {
  const settings = readConfig(env)
  if ('problems' in settings) throw new Error(settings.problems.join('\n'))
  const { config } = settings
  const { stateDir: path, token, masterKey } = config
  const state = await openStateDirectory({ path, token, masterKey })
  const table = watchedTable(await openServiceTable(path), point)
  const drivers = driversOf(config, state).map((driver) => watchedDriver(driver, point))
  return buildApp({ config, state, table, drivers, log: createLogger(config), version: 'test' })
}

function driversOf(config: HiveConfig, { instanceId }: StateDirectory): readonly RunnerDriver[] {
  const { stateDir, hostEnvironment, registryAuthFile, kinds } = config
  const used = new Set(kinds.map(({ runner_type }) => runner_type))
  const engine = { instanceId, registryAuthFile, home: null, runCredentialHelper }
  return [
    createScriptDriver({ stateDir, instanceId, hostEnvironment }),
    ...(used.has('docker') ? [createContainerDriver({ ...engine, type: 'docker', hosts: config.dockerHosts })] : []),
    ...(used.has('podman') ? [createContainerDriver({ ...engine, type: 'podman', hosts: config.podmanHosts })] : []),
  ]
}

function watchedTable(table: StateStore, point: Point): StateStore {
  return new Proxy(table, {
    get(target, key) {
      const member = Reflect.get(target, key, target)
      if (key !== 'write') return typeof member === 'function' ? member.bind(target) : member
      return async (...written: Parameters<StateStore['write']>) => {
        const [row] = written
        const name = `write ${row.record.desired} ${row.record.state}#${row.record.attempt}`
        point(`before ${name}`)
        await target.write(...written)
        point(`after ${name}`)
      }
    },
  })
}

const EFFECTS = ['prepare', 'start', 'stop', 'remove']

function watchedDriver(driver: RunnerDriver, point: Point): RunnerDriver {
  return new Proxy(driver, {
    get(target, key) {
      const member = Reflect.get(target, key, target)
      if (typeof member !== 'function') return member
      if (!EFFECTS.includes(String(key))) return member.bind(target)
      return async (...args: unknown[]) => {
        point(`before ${String(key)}`)
        const result = await member.apply(target, args)
        point(`after ${String(key)}`)
        return result
      }
    },
  })
}
