import type { Command } from '../command.ts'
import { CliFailure, EXIT } from '../failure.ts'

/** Words that have a meaning already but no code yet: an honest no instead of "unknown command". */
export const later: readonly Command[] = ['orphans', 'doctor'].map((name) => ({
  name,
  summary: 'not in this version yet',
  help: `hive ${name} is not in this version yet.\n`,
  takes: { what: 'the name', min: 0, max: Number.POSITIVE_INFINITY },
  run: () => {
    const title = `\`hive ${name}\` is not in this version yet`
    return Promise.reject(new CliFailure(EXIT.usage, { code: 'CLI_NOT_YET', title }))
  },
}))
