import { HiveError } from '../errors.ts'
import type { ContainerConfig, RunnerConfig, ScriptConfig } from './kind.ts'
import { fillPlaceholders, placeholdersIn } from './placeholders.ts'
import { staysInPrefix } from './working-dir.ts'

/** What one attempt puts in the place of `{kind}`, `{service_name}`, `{request_id}` and `{port}`. */
export interface AttemptValues {
  readonly kind: string
  readonly service_name: string
  readonly request_id: string
  /** The exposed port as the cocoon sees it; null only if {@link needsPort} is false. */
  readonly port: number | null
}

const REQUEST_ID_IN_NAMES = /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/

/**
 * Fills in every placeholder of a config as the operator wrote it. To be called once per attempt, always on the kind's
 * own config and never on a result: text that a value brings in, such as a request id of `{port}`, is not looked at again.
 *
 * @throws HiveError  HIVE_LAUNCH_REFUSED when the working directory would leave its literal prefix.
 * @throws Error      `{port}` is used and there is no port: ask {@link needsPort} first.
 */
export function resolveForAttempt(config: RunnerConfig, values: AttemptValues): RunnerConfig {
  const { port, ...texts } = values
  const all = port === null ? texts : { ...texts, port: String(port) }
  const resolved = mapTemplates(config, (template) => fillPlaceholders(template, all))
  if (config.workingDir !== null && !staysInPrefix(resolved.workingDir ?? '', config.workingDir))
    throw new HiveError('HIVE_LAUNCH_REFUSED', 'The working directory of this kind would leave its literal prefix.')
  return resolved
}

/** True if `{port}` stands anywhere in the config, so that an attempt cannot be resolved without a port. */
export function needsPort(config: RunnerConfig): boolean {
  return templatesOf(config).some((template) => placeholdersIn(template).includes('port'))
}

/**
 * Says what is wrong with a request id for this config, or null. Anything goes where `{request_id}` is an argument or an
 * environment value; in a name or a path it must match `[A-Za-z0-9][A-Za-z0-9._-]{0,127}`.
 */
export function checkRequestIdForConfig(config: RunnerConfig, requestId: string): string | null {
  const names = config.runner === 'script' ? [] : [config.containerName, ...config.volumes.map(({ source }) => source)]
  const used = [config.workingDir, ...names].some((name) => placeholdersIn(name ?? '').includes('request_id'))
  if (!used || REQUEST_ID_IN_NAMES.test(requestId)) return null
  return 'This kind uses request_id in a name or a path: it must start with a letter or digit and hold at most 128 letters, digits, ".", "_" and "-".'
}

function templatesOf(config: RunnerConfig): readonly string[] {
  const found: string[] = []
  mapTemplates(config, (template) => {
    found.push(template)
    return template
  })
  return found
}

type Fill = (template: string) => string

/** The one place that knows which fields are templates. */
function mapTemplates(config: RunnerConfig, fill: Fill): RunnerConfig {
  const common = {
    environment: Object.fromEntries(Object.entries(config.environment).map(([name, value]) => [name, fill(value)])),
    workingDir: config.workingDir === null ? null : fill(config.workingDir),
    healthChecks: config.healthChecks.map((check) => ({
      ...check,
      path: fill(check.path),
      command: check.command.map(fill),
    })),
  }
  return config.runner === 'script'
    ? ({ ...config, ...common, args: config.args.map(fill) } satisfies ScriptConfig)
    : { ...config, ...common, ...containerTemplates(config, fill) }
}

function containerTemplates(config: ContainerConfig, fill: Fill) {
  return {
    args: config.args?.map(fill) ?? null,
    containerName: config.containerName === null ? null : fill(config.containerName),
    // A path of the host is taken as it stands: nothing that a request brings may choose a place on the host.
    volumes: config.volumes.map((volume) =>
      volume.kind === 'volume' ? { ...volume, source: fill(volume.source) } : volume,
    ),
  } satisfies Partial<ContainerConfig>
}
