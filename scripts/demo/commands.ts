import { main } from '../../src/cli/main.ts'
import type { DemoHive } from './hive.ts'

export interface DemoCocoon {
  readonly name: string
  /** Its path below Hive. */
  readonly url: string
  /** Its own origin, which browsers resolve by themselves. */
  readonly origin_url: string | null
}

/** Runs `hive …` against the demo's Hive, as its user would. */
export async function runHive(
  { port, stateDirectory }: DemoHive,
  argv: readonly string[],
): Promise<{ code: number; stdout: string; stderr: string }> {
  const env = { HIVE_URL: `http://127.0.0.1:${port}`, HIVE_STATE_DIR: stateDirectory }
  let stdout = ''
  let stderr = ''
  const code = await main(argv, env, {
    stdout: { write: (text) => (stdout += text) },
    stderr: { write: (text) => (stderr += text) },
    version: '',
  })
  return { code, stdout, stderr }
}

/** `hive spawn demo`. @throws Error  with what Hive said. */
export async function spawnCocoon(hive: DemoHive): Promise<DemoCocoon> {
  const { code, stdout, stderr } = await runHive(hive, ['spawn', 'demo', '--json'])
  if (code === 0) return JSON.parse(stdout) as DemoCocoon
  const { title, detail } = JSON.parse(stderr) as { title: string; detail?: string }
  throw new Error(`${title}: ${detail ?? ''}\nHive's log: ${hive.log}`)
}
