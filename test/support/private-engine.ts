import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdtemp, readFile } from 'node:fs/promises'
import { type IncomingMessage, request } from 'node:http'
import type { TestContext } from 'node:test'
import { promisify } from 'node:util'
import { ALL } from './crash/seed.ts'
import { until } from './deadline.ts'
import { engineRequest } from './engine-request.ts'
import { engineOrSkip, TEST_IMAGES } from './engines.ts'
import { openHive, removeAll, type TestHive } from './hive.ts'

/** A daemon of the test's own, which it may stop, freeze and kill as it likes. */
export interface PrivateEngine {
  /** `unix:///…` */
  readonly host: string
  readonly socket: string
  readonly directory: string
  /** Starts it (again) and waits until it answers. */
  up(): Promise<void>
  /** Sends the service itself a signal; after TERM and KILL waits until it is gone. */
  signal(name: 'SIGTERM' | 'SIGKILL' | 'SIGSTOP' | 'SIGCONT'): Promise<void>
  /** Ends it with its containers, in whatever state it is, and deletes what it stored. */
  close(): Promise<void>
}

/** Where overlay mounts work: not below /tmp, which may itself be an overlay. */
const ROOT = '/var/tmp'
const SCRIPT = new URL('../../scripts/engines/one.sh', import.meta.url).pathname
const GONE_MS = 30_000
const run = promisify(execFile)

/** Why there can be no private engine: the shared one gives the images, and its programs are the same. */
export const privateEngineSkip = (type: 'docker' | 'podman'): string | false =>
  process.getuid?.() === 0 ? engineOrSkip(type).skip : 'a private engine needs root'

/**
 * Runs a Hive on a private engine that holds the httpd image. After the test the Hive is closed first, then the engine.
 * @param options  further options of dockerd, such as `--live-restore`.
 */
export async function openOnPrivateEngine(
  t: TestContext,
  type: 'docker' | 'podman',
  { options = [], kinds = [] }: { readonly options?: readonly string[]; readonly kinds?: readonly unknown[] },
): Promise<{
  readonly engine: PrivateEngine
  readonly hive: TestHive
  /** Another Hive on the same state directory; to be called once the first one is closed. */
  readonly reopen: () => Promise<TestHive>
}> {
  const engine = await start(type, options)
  const later: TestHive[] = []
  try {
    // Ports of its own: all engines of the machine publish in the same place.
    const first = 20_000 + 40 * Math.floor(Math.random() * 240)
    const address = type === 'docker' ? 'HIVE_DOCKER_HOST' : 'HIVE_PODMAN_HOST'
    const env = { [address]: engine.host, HIVE_PORT_RANGE: `${first}-${first + 39}` }
    const hive = await openHive(t, { kinds, env })
    const reopen = async (): Promise<TestHive> => {
      const next = await openHive(t, { kinds, env, directory: hive.directory })
      later.push(next)
      return next
    }
    return { engine, hive, reopen }
  } finally {
    t.after(async () => {
      try {
        // Their own hooks come after this one.
        if (later.length > 0) await engine.signal('SIGCONT')
        for (const hive of later) await removeAll(hive).finally(hive.close)
      } finally {
        await engine.close()
      }
    })
  }
}

async function start(type: 'docker' | 'podman', options: readonly string[]): Promise<PrivateEngine> {
  const directory = await mkdtemp(`${ROOT}/hive-own-`)
  const number = String(freeNumber())
  const socket = `${directory}/${type}/${type}.sock`
  const pidFile = `${directory}/${type}/${type === 'docker' ? 'dockerd' : 'service'}.pid`
  const script = (verb: string, more: readonly string[] = []) =>
    run(SCRIPT, [type, verb, directory, number, ...more], { timeout: 90_000 })
  const up: PrivateEngine['up'] = async () => {
    if (!(await isRunning(pidFile, socket))) await script('start', options)
  }
  const signal: PrivateEngine['signal'] = async (name) => {
    const pid = await isRunning(pidFile, socket)
    if (!pid) throw new Error(`${type} does not run`)
    process.kill(pid, name)
    if (name === 'SIGTERM' || name === 'SIGKILL')
      await until(() => !existsSync(`/proc/${pid}`), GONE_MS, `the end of ${type}`)
  }
  const close = async (): Promise<void> => {
    await signal('SIGCONT').catch(() => {})
    // Only an engine that answers can end the containers it has.
    await up().catch(() => {})
    await script('down')
  }
  const host = `unix://${socket}`
  try {
    await up()
    await copyImage(type, host)
  } catch (error) {
    await close()
    throw error
  }
  return { host, socket, directory, up, signal, close }
}

/** Its pid, if it is still it: the number alone may be a stranger's by now. */
async function isRunning(pidFile: string, socket: string): Promise<number | null> {
  try {
    const pid = Number(await readFile(pidFile, 'utf8'))
    return (await readFile(`/proc/${pid}/cmdline`, 'utf8')).includes(socket) ? pid : null
  } catch {
    return null
  }
}

function freeNumber(): number {
  for (;;) {
    const number = Math.floor(Math.random() * 256)
    if (!existsSync(`/sys/class/net/hive-docker${number}`) && !existsSync(`/sys/class/net/hive-podman${number}`))
      return number
  }
}

async function copyImage(type: 'docker' | 'podman', host: string): Promise<void> {
  const from = engineOrSkip(type).host.replace('unix://', '')
  const path = `/images/get?names=${encodeURIComponent(TEST_IMAGES.httpd)}`
  const get = request({ socketPath: from, path, timeout: 30_000 }).end()
  const [archive] = (await once(get, 'response')) as [IncomingMessage]
  const headers = { 'content-type': 'application/x-tar' }
  const load = request({ socketPath: host.replace('unix://', ''), method: 'POST', path: '/images/load', headers })
  archive.pipe(load)
  const [answer] = (await once(load, 'response')) as [IncomingMessage]
  answer.resume()
  await once(answer, 'end')
  const image = await engineRequest(host, 'GET', `/images/${TEST_IMAGES.httpd}/json`)
  if (image.status !== 200) throw new Error(`the image was not loaded: ${JSON.stringify(image.body)}`)
}

/** For `skip`: the long ones run under `npm run test:crash` only. */
export const longSkip = (type: 'docker' | 'podman'): string | false =>
  privateEngineSkip(type) || (ALL ? false : 'one of the long ones: npm run test:crash')
