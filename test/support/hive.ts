import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import type { TestContext } from 'node:test'
import type { FastifyInstance } from 'fastify'
import { buildApp } from '../../src/app.ts'
import { readConfig } from '../../src/config.ts'
import { createLogger } from '../../src/logging.ts'
import type { RunnerDriver } from '../../src/runners/driver.ts'
import type { Clock } from '../../src/services/context.ts'
import type { ServiceRecord } from '../../src/services/state/record.ts'
import { openState } from '../../src/services/table/open-state.ts'
import type { SignalingTimings } from '../../src/signaling/timings.ts'

export interface Answer {
  readonly status: number
  readonly headers: Headers
  readonly text: string
  /** The parsed body; null when it is not JSON. */
  // biome-ignore lint/suspicious/noExplicitAny: tests look into answers of every shape
  readonly body: any
}

export interface TestHive {
  readonly app: FastifyInstance
  readonly url: string
  readonly port: number
  readonly token: string
  readonly directory: string
  /** Every log line so far, as printed. */
  log(): string
  call(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<Answer>
  spawn(body: Record<string, unknown>, query?: string): Promise<ServiceRecord>
  /** Ends this Hive; its cocoons live on. */
  close(): Promise<void>
}

export interface HiveOptions {
  readonly kinds?: string | readonly unknown[]
  readonly env?: Readonly<Record<string, string>>
  readonly drivers?: readonly RunnerDriver[]
  readonly clock?: Clock
  readonly signalingTimings?: Partial<SignalingTimings>
  readonly statsIntervalMs?: number
  /** A state directory to go on with; a new one is made and removed otherwise. */
  readonly directory?: string
}

/** How many Hives of this test process still use a directory, and which directories were made here. */
const uses = new Map<string, number>()
const own = new Set<string>()
/** Directories whose last Hive was closed by its test while it had cocoons. */
const abandoned = new Set<string>()

function take(directory: string): void {
  uses.set(directory, (uses.get(directory) ?? 0) + 1)
}

/** Hooks run in the order of their making: the first Hive's must not remove what a second one goes on with. */
async function leave(directory: string, options: HiveOptions): Promise<void> {
  const left = (uses.get(directory) ?? 1) - 1
  uses.set(directory, left)
  if (left > 0 || !own.delete(directory)) return
  try {
    await clear(directory, options)
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}

/** Cocoons outlive a Hive that the test has closed: what still has one is removed by a last Hive. */
async function clear(directory: string, options: HiveOptions): Promise<void> {
  if (!abandoned.delete(directory) || options.drivers !== undefined) return
  const { hive, end } = await start(directory, options)
  try {
    await removeAll(hive)
  } finally {
    await end()
  }
}

/** A whole Hive in this process on a free port, with its own state directory; its cocoons are removed after the test. */
export async function openHive(t: TestContext, options: HiveOptions = {}): Promise<TestHive> {
  const directory = options.directory ?? (await mkdtemp(join(tmpdir(), 'hive-test-')))
  if (options.directory === undefined) own.add(directory)
  take(directory)
  let started: Started | null = null
  // One hook for all of it: hooks run in the order of their making, and a closed table removes no cocoon.
  t.after(async () => {
    try {
      if (started) await removeAll(started.hive)
    } finally {
      await started?.end()
      await leave(directory, options)
    }
  })
  started = await start(directory, options)
  return started.hive
}

interface Started {
  readonly hive: TestHive
  readonly end: () => Promise<void>
}

async function start(directory: string, options: HiveOptions): Promise<Started> {
  const config = configOf(directory, options)
  const { token, masterKey } = config
  const { state, table } = await openState({ path: directory, token, masterKey })
  const lines: string[] = []
  const logLevel = options.env?.['HIVE_LOG_LEVEL'] === undefined ? 'debug' : config.logLevel
  const log = createLogger({ logLevel }, sink(lines))
  try {
    const app = await buildApp({
      ...{ config, state, table, log, version: 'test' },
      ...(options.drivers && { drivers: options.drivers }),
      ...(options.clock && { clock: options.clock }),
      ...(options.signalingTimings && { signalingTimings: options.signalingTimings }),
      ...(options.statsIntervalMs && { statsIntervalMs: options.statsIntervalMs }),
    })
    await app.listen({ host: '127.0.0.1', port: 0 })
    const { port } = app.server.address() as AddressInfo
    const url = `http://127.0.0.1:${port}`
    app.services.setOrigins({ base: url, ofCocoon: (name) => `http://${name}.localhost:${port}` })
    const hive = client({ app, url, port, directory, token: state.token.reveal(), log: () => lines.join('') })
    const end = async () => {
      await hive.close()
      await table.close()
    }
    return { hive, end }
  } catch (error) {
    await table.close() // its worker would keep the test process alive
    throw error
  }
}

function configOf(directory: string, options: HiveOptions) {
  const kinds = options.kinds ?? []
  const settings = readConfig({
    PATH: process.env['PATH'],
    HOME: process.env['HOME'],
    HIVE_STATE_DIR: directory,
    COCOON_KINDS: typeof kinds === 'string' ? kinds : JSON.stringify(kinds),
    ...options.env,
  })
  if ('problems' in settings) throw new Error(settings.problems.join('\n'))
  return settings.config
}

function client(base: Pick<TestHive, 'app' | 'url' | 'port' | 'directory' | 'token' | 'log'>): TestHive {
  const call: TestHive['call'] = async (method, path, body, headers = {}) => {
    const answer = await fetch(`${base.url}${path}`, {
      method,
      headers: {
        authorization: `Bearer ${base.token}`,
        ...(body !== undefined && { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    })
    const text = await answer.text()
    const isJson = /json/.test(answer.headers.get('content-type') ?? '')
    return {
      status: answer.status,
      headers: answer.headers,
      text,
      body: isJson && text !== '' ? JSON.parse(text) : null,
    }
  }
  let closed: Promise<void> | null = null
  return {
    ...base,
    call,
    async spawn(body, query = '?wait=ready&timeout_s=60') {
      const { status, text, body: record } = await call('POST', `/spawn${query}`, body)
      assert.ok(status === 201 || status === 202, `spawn answered ${status}: ${text}`)
      return record
    },
    close: () => {
      if ([...base.app.services.rows()].some(({ record }) => record.state !== 'removed')) abandoned.add(base.directory)
      else abandoned.delete(base.directory)
      closed ??= base.app.close().then(() => undefined)
      return closed
    },
  }
}

/** Ends every cocoon of a Hive that still listens. */
export async function removeAll(hive: TestHive): Promise<void> {
  if (!hive.app.server.listening) return
  const { body } = await hive.call('GET', '/services?limit=1000')
  const removals = body.services.map(async ({ name }: ServiceRecord) => {
    const answer = await hive.call('DELETE', `/services/${name}?volumes=true`)
    if (answer.status === 200) return
    // On a busy machine an engine may take longer over a removal than DELETE waits.
    const final = await hive.call('GET', `/services/${name}?wait=gone&timeout_s=60`)
    assert.equal(final.status, 410, `${name} was not removed: ${answer.text}`)
  })
  await Promise.all(removals)
}

function sink(lines: string[]): Writable {
  return new Writable({
    write(chunk, _encoding, done) {
      lines.push(String(chunk))
      done()
    },
  })
}
