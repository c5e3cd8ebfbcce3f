import type { Finding, Rebuilt } from '../../doctor.ts'
import type { Command, Invocation } from '../command.ts'
import { CliFailure, EXIT, type ExitCode, usage } from '../failure.ts'
import { printable } from '../io.ts'

const MARKS = { ok: 'ok  ', warn: 'note', bad: 'BAD ' } as const

export const doctor: Command = {
  name: 'doctor',
  summary: 'check the set-up, or rebuild a damaged service table',
  options: { rebuild: { type: 'boolean' }, force: { type: 'boolean' }, all: { type: 'boolean' } },
  help: `Usage: hive doctor [options]

Looks at what Hive needs on this machine, with the settings of this environment: settings and kinds, Node, the state
directory, its disk and table, ports, runners and containment. Says what is wrong and what to do; changes nothing.

  --all        also say what is well
  --rebuild    re-make a damaged or lost service table from what of it can be read, and from the labels and markers of
               what runs; Hive must not run. The old one is moved aside, no cocoon is touched. Services made anew are
               served, stopped and removed like others, but cannot be started again: their secrets are gone
  --force      with --rebuild: even if the table is whole, or a runner in use does not answer

Examples:
  hive doctor
  hive doctor --json | jq -r '.findings[] | select(.level == "bad") | .text'
  hive doctor --rebuild
`,
  run,
}

async function run(invocation: Invocation): Promise<ExitCode> {
  if (invocation.values['rebuild'] === true) return rebuild(invocation)
  if (invocation.values['force'] === true) throw usage('--force goes with --rebuild', 'doctor')
  return examine(invocation)
}

async function examine({ env, io, json, values }: Invocation): Promise<ExitCode> {
  // Loaded only here: no other command needs the runners in memory.
  const { examine } = await import('../../doctor.ts')
  const findings = await examine(env)
  const isBad = findings.some(({ level }) => level === 'bad')
  if (json) io.stdout.write(`${JSON.stringify({ findings })}\n`)
  else
    for (const finding of findings) if (values['all'] === true || finding.level !== 'ok') io.stdout.write(line(finding))
  if (!json && findings.every(({ level }) => level === 'ok')) io.stdout.write('Everything is well.\n')
  return isBad ? EXIT.failed : EXIT.ok
}

async function rebuild({ env, io, json, values }: Invocation): Promise<ExitCode> {
  const { rebuildTable, RebuildRefused } = await import('../../doctor.ts')
  try {
    const rebuilt = await rebuildTable(env, values['force'] === true)
    io.stdout.write(json ? `${JSON.stringify(rebuilt)}\n` : text(rebuilt))
    return EXIT.ok
  } catch (error) {
    if (!(error instanceof RebuildRefused)) throw error
    const title = 'The service table was not rebuilt'
    throw new CliFailure(EXIT.conflict, { code: 'CLI_REBUILD_REFUSED', title, detail: error.message })
  }
}

function line({ level, area, text, mend }: Finding): string {
  return `${MARKS[level]}  ${area.padEnd(8)}  ${printable(text)}${mend === null ? '' : `\n${' '.repeat(16)}→ ${printable(mend)}`}\n`
}

function text({ salvaged, remade, aside, unasked }: Rebuilt): string {
  const lines = [
    `${salvaged.length} services could still be read${listed(salvaged)}`,
    `${remade.length} services were made anew from what runs${listed(remade)}`,
    aside.length === 0 ? 'There was no old table' : `The old table is kept as ${aside.join(', ')}`,
    ...unasked.map(({ runner, reason }) => `${runner} was not asked: ${reason}`),
  ]
  return lines.map((each) => `${printable(each)}\n`).join('')
}

function listed(names: readonly string[]): string {
  return names.length === 0 ? '' : `: ${names.join(', ')}`
}
