import type { Command, Invocation } from '../command.ts'
import { EXIT, type ExitCode } from '../failure.ts'

export const serve: Command = {
  name: 'serve',
  summary: 'run the server in the foreground',
  help: `Usage: hive serve

Runs Hive in the foreground until SIGTERM or Ctrl-C. All settings come from the environment (README, "Settings"):
COCOON_KINDS, HIVE_HOST, HIVE_PORT, HIVE_STATE_DIR, … Every wrong one is printed, and the exit code is 78.
Cocoons outlive it and are found again at the next start; HIVE_STOP_ON_EXIT=on stops them.

Examples:
  hive serve
  COCOON_KINDS='native:script:cocoon-worker' HIVE_PORT=9000 hive serve
`,
  run,
}

async function run({ env }: Invocation): Promise<ExitCode> {
  // Loaded only here: no other command needs a server in memory.
  const { serve: start } = await import('../../server.ts')
  await start(env)
  return EXIT.ok
}
