import { keepHeapSmall } from '../../memory.ts'
import type { Command, Invocation } from '../command.ts'

export const serve: Command = {
  name: 'serve',
  summary: 'run the server in the foreground',
  help: `Usage: hive serve

Runs Hive in the foreground until SIGTERM or Ctrl-C. All settings come from the environment (README, "Settings"):
COCOON_KINDS, HIVE_HOST, HIVE_PORT, HIVE_STATE_DIR, … Cocoons outlive it and are found again at the next start.

Exit codes of its own: 69 a port cannot be had, 73 the state directory cannot be used, 78 settings are wrong (all of them are printed).

Examples:
  hive serve
  COCOON_KINDS='native:script:cocoon-worker' HIVE_PORT=9000 hive serve
`,
  run,
}

async function run({ env }: Invocation): Promise<number> {
  keepHeapSmall()
  // Loaded only here: no other command needs a server in memory.
  const server = await import('../../server.ts')
  return server.serve(env)
}
