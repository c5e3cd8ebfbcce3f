import {
  checkWake,
  commonConfig,
  commonFields,
  NO_RESOURCES,
  requireField,
  resources,
  userOrAuto,
} from './common-config.ts'
import { listOf, oneOf, type Reader, type Readers, readObject, textLike } from './fields.ts'
import { checkPorts } from './health-check.ts'
import { isPlainAbsolute } from './host-paths.ts'
import type { ScriptConfig } from './kind.ts'
import { literalText, template } from './placeholders.ts'
import { portNames } from './ports.ts'
import type { Report } from './report.ts'
import { workingDir } from './working-dir.ts'

/** Reads the `runner_config` of a script kind. What is wrong goes into the report; the rest gets defaults. */
export function readScriptConfig(raw: Readonly<Record<string, unknown>>, report: Report): ScriptConfig {
  requireField(raw, 'command', 'an executable, such as "/usr/local/bin/worker"', report)
  const read = readObject(raw, fields, '', report)
  checkWake(read, report)
  checkPorts(read.health_check ?? [], { declared: [], right: 'no port: Hive chooses it, and checks that one' }, report)
  return {
    runner: 'script',
    ...commonConfig(read),
    command: read.command ?? '',
    args: read.args ?? [],
    workingDir: read.working_dir ?? null,
    portNames: read.ports ?? [],
    resources: read.resources ?? NO_RESOURCES,
    sandbox: read.sandbox ?? 'none',
    sha256: read.sha256?.toLowerCase() ?? null,
  }
}

/** One token: it goes to the system as it is, never to a shell. */
const executable: Reader<string> = (value, field, report) => {
  const read = literalText(value, field, report)
  if (read === undefined) return undefined
  const wrong = executableFault(read)
  if (wrong === null) return read
  report.problem(field, wrong, 'an absolute path, or a bare name that is looked up in PATH; arguments belong into args')
  return undefined
}

function executableFault(command: string): string | null {
  if (command === '') return 'is empty'
  if (/\s/.test(command)) return 'has a blank in it, and Hive neither splits a command nor runs a shell'
  if (/^[-~"'`]/.test(command)) return `starts with ${command[0]}`
  if (!command.includes('/')) return command === '.' || command === '..' ? 'is a directory' : null
  return isPlainAbsolute(command) ? null : 'is a relative path, or has . or .. in it'
}

const fields = {
  command: executable,
  args: listOf(template, 'strings'),
  working_dir: workingDir,
  ports: portNames,
  resources,
  sandbox: oneOf('none', 'bubblewrap', 'firejail'),
  sha256: textLike(/^[0-9a-f]{64}$/i, '64 hexadecimal digits'),
  ...commonFields,
  user: userOrAuto,
} satisfies Readers
