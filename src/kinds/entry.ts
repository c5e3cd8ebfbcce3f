import { needsPort } from './attempt.ts'
import { readContainerConfig } from './container-config.ts'
import { isObject, typeName } from './fields.ts'
import { type KindPolicy, type KindSpec, RUNNER_TYPES, type RunnerConfig, type RunnerType } from './kind.ts'
import { quoted, type Report } from './report.ts'
import { readScriptConfig } from './script-config.ts'

/** An entry of COCOON_KINDS in whatever format it was written: an id, and what stands for the rest. */
export interface RawKind {
  readonly id: string
  readonly runner_type: RunnerType
  readonly runner_config: Readonly<Record<string, unknown>>
}

const ID = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$/
const ENTRY_KEYS = ['id', 'runner_type', 'runner_config', 'image']
export const KNOWN_RUNNERS = RUNNER_TYPES.map(quoted).join(', ')
export const ID_FORM = '1 to 63 letters, digits, _, . and -, a letter or digit first'

export function isKindId(id: unknown): id is string {
  return typeof id === 'string' && ID.test(id)
}

export function isRunnerType(name: unknown): name is RunnerType {
  return (RUNNER_TYPES as readonly unknown[]).includes(name)
}

/** Reads one element of a JSON array: `{id, runner_type?, runner_config?, image?}`. null = nothing left to read. */
export function readJsonEntry(value: unknown, report: Report): RawKind | null {
  if (!isObject(value)) {
    report.problem(
      null,
      `is ${typeName(value)}`,
      'an object such as {"id":"box","runner_type":"docker","runner_config":{…}}',
    )
    return null
  }
  for (const key of Object.keys(value).filter((name) => !ENTRY_KEYS.includes(name)))
    report.problem(
      null,
      `${quoted(key)} is not a known field`,
      `one of ${ENTRY_KEYS.join(', ')}; all else belongs into runner_config`,
    )
  if (!isKindId(value['id']))
    report.problem('id', value['id'] === undefined ? 'is missing' : 'is not a kind id', ID_FORM)
  const runner_type = readRunnerType(value, report)
  const runner_config = readRunnerConfig(value, report)
  if (runner_type === null || runner_config === null) return null
  const withImage = mergeImage(value['image'], runner_type, runner_config, report)
  return { id: isKindId(value['id']) ? value['id'] : '', runner_type, runner_config: withImage }
}

function readRunnerType(entry: Readonly<Record<string, unknown>>, report: Report): RunnerType | null {
  const { runner_type, runner_config, image } = entry
  if (isRunnerType(runner_type)) return runner_type
  // The oldest form: an image by itself means docker.
  if (runner_type === undefined && runner_config === undefined && image !== undefined) return 'docker'
  const wrong =
    typeof runner_type === 'string' ? `${quoted(runner_type)} is not a runner type` : `is ${typeName(runner_type)}`
  report.problem('runner_type', runner_type === undefined ? 'is missing' : wrong, `one of ${KNOWN_RUNNERS}`)
  return null
}

function readRunnerConfig(entry: Readonly<Record<string, unknown>>, report: Report): RawKind['runner_config'] | null {
  const { runner_config, image } = entry
  if (isObject(runner_config)) return runner_config
  if (runner_config === undefined && image !== undefined) return {}
  const wrong = runner_config === undefined ? 'is missing' : `is ${typeName(runner_config)}`
  report.problem('runner_config', wrong, 'an object such as {"image":"ubuntu"} or {"command":"/usr/local/bin/worker"}')
  return null
}

/** `image` beside `runner_config` is deprecated, but it is what GET /kinds answers, so it may stand there and agree. */
function mergeImage(
  image: unknown,
  runner: RunnerType,
  config: RawKind['runner_config'],
  report: Report,
): RawKind['runner_config'] {
  if (image === undefined || (image === '' && (runner === 'script' || config['image'] !== undefined))) return config
  if (runner === 'script')
    report.problem('image', 'stands in a script kind', 'no image, or the runner docker or podman')
  else if (config['image'] === undefined) return { ...config, image }
  else if (config['image'] !== image) report.problem('image', 'differs from the image in runner_config', 'one image')
  return config
}

/** Reads the config of an entry. null = the report has problems of this entry, from here or from before. */
export function readKind(raw: RawKind, policy: KindPolicy, report: Report): KindSpec | null {
  const { id, runner_type, runner_config } = raw
  const config = readConfig(raw, policy, report)
  if (report.problemCount() > 0) return null
  return { id, runner_type, runner_config, image: config.runner === 'script' ? '' : config.image, config }
}

function readConfig({ id, runner_type, runner_config }: RawKind, policy: KindPolicy, report: Report): RunnerConfig {
  if (runner_type === 'script') return readScriptConfig(runner_config, report)
  const config = readContainerConfig(runner_config, { kindId: id, runner: runner_type, policy }, report)
  // A script always gets a port; a container has one only if it is told.
  const port = config.port ?? config.ports[0]?.port
  if (port === undefined && needsPort(config))
    report.problem(null, '{port} is used, but there is no port', '"port" or "ports" in runner_config')
  return config
}
