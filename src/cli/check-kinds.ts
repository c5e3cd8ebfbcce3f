import type { KindSpec } from '../kinds/kind.ts'
import { CliFailure, EXIT } from './failure.ts'
import { type CliIo, type Environment, printable } from './io.ts'

/**
 * Reads the settings of this environment as `hive serve` would, and prints the kinds they give, one per line. Nothing
 * is started. Environment values of kinds are never printed.
 *
 * @throws CliFailure  with every problem, exit 78.
 */
export async function checkKinds(env: Environment, io: CliIo, json: boolean): Promise<number> {
  const { readConfig } = await import('../config.ts')
  const settings = readConfig(env)
  if ('problems' in settings) throw notValid(settings.problems)
  const { kinds, warnings } = settings.config
  const { redactKind } = await import('../kinds/redact.ts')
  const shown = kinds.map(redactKind)
  if (json) {
    io.stdout.write(`${JSON.stringify({ kinds: shown, warnings })}\n`)
    return EXIT.ok
  }
  for (const warning of warnings) io.stderr.write(`warning: ${printable(warning)}\n`)
  for (const kind of shown) io.stdout.write(`${printable(line(kind))}\n`)
  return EXIT.ok
}

/** `native (script)  {"command":"cocoon-worker"}`: the line of `hive kinds` and what Hive understood. */
function line({
  id,
  runner_type,
  runner_config,
}: Pick<KindSpec, 'id' | 'runner_config'> & { runner_type: string }): string {
  return `${id} (${runner_type})  ${JSON.stringify(runner_config)}`
}

function notValid(problems: readonly string[]): CliFailure {
  return new CliFailure(EXIT.config, {
    code: 'CLI_CONFIG',
    title: 'The settings are not valid',
    detail: problems.map((problem) => `  ${problem}`).join('\n'),
    problems,
  })
}
