import type { FastifyInstance } from 'fastify'
import { buildApp } from '../../../src/app.ts'
import { readConfig } from '../../../src/config.ts'
import { createLogger } from '../../../src/logging.ts'
import { createDrivers } from '../../../src/runners/create-drivers.ts'
import type { RunnerDriver } from '../../../src/runners/driver.ts'
import { openState } from '../../../src/services/table/open-state.ts'
import type { StateStore } from '../../../src/services/table/table.ts'

export type Point = (name: string) => void

/** A whole Hive whose every durable write and every effect is between two points. */
export async function createServices(env: NodeJS.ProcessEnv, point: Point): Promise<FastifyInstance> {
  const settings = readConfig(env)
  if ('problems' in settings) throw new Error(settings.problems.join('\n'))
  const { config } = settings
  const { stateDir: path, token, masterKey } = config
  const { state, ...opened } = await openState({ path, token, masterKey })
  const table = watchedTable(opened.table, point)
  const { instanceId } = state
  const created = createDrivers({ config, instanceId, onWarning: () => {} })
  const drivers = created.map((driver) => watchedDriver(driver, point))
  return buildApp({ config, state, table, drivers, log: createLogger(config), version: 'test' })
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
