import { join } from 'node:path'
import { runHive, spawnCocoon } from './demo/commands.ts'
import { type DemoHive, startDemoHive } from './demo/hive.ts'
import { farewell, welcome } from './demo/text.ts'

/**
 * `npm run demo`: a Hive of its own with one native kind, and one cocoon of it. Stays until Ctrl-C, then kills its
 * cocoons and stops. `npm run demo -- --once` does the same without staying.
 */
const ROOT = join(import.meta.dirname, '..')
const isOnce = process.argv.includes('--once')
const stop = new AbortController()
// `npm run demo | head` closes the output early: what was started is cleaned up all the same.
process.stdout.on('error', () => undefined)
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => stop.abort())

try {
  const hive = await startDemoHive(ROOT, stop.signal)
  try {
    await show(hive)
  } finally {
    await end(hive)
  }
} catch (error) {
  if (!stop.signal.aborted) {
    process.stderr.write(`demo: ${(error as Error).message}\n`)
    process.exitCode = 1
  }
}

async function show(hive: DemoHive): Promise<void> {
  const { port, wanted } = hive
  if (port !== wanted) process.stdout.write(`Port ${wanted} is taken, so this Hive listens on ${port}.\n`)
  const cocoon = await spawnCocoon(hive)
  // Through the proxy, as a browser would: the demo claims nothing that it has not seen.
  const answer = await fetch(cocoon.url, { signal: AbortSignal.timeout(10_000) })
  if (!answer.ok) throw new Error(`${cocoon.url} answered ${answer.status}`)
  await answer.body?.cancel()
  process.stdout.write(welcome(hive, cocoon, { root: ROOT, isOnce }))
  if (!isOnce) await hive.ended(stop.signal)
}

async function end(hive: DemoHive): Promise<void> {
  const { stdout } = await runHive(hive, ['list', '--json'])
  const { services } = JSON.parse(stdout || '{"services":[]}') as { services: { name: string }[] }
  const names = services.map(({ name }) => name)
  if (names.length > 0) await runHive(hive, ['kill', ...names])
  await hive.stop()
  process.stdout.write(farewell(names))
}
