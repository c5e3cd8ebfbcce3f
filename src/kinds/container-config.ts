import { checkWake, commonConfig, commonFields, NO_RESOURCES, requireField, resources } from './common-config.ts'
import { refuseEngineOptions } from './engine-options.ts'
import { listOf, oneOf, type Read, type Reader, type Readers, readObject, wholeNumber } from './fields.ts'
import { checkPorts } from './health-check.ts'
import { imageReference } from './image-reference.ts'
import type { ContainerConfig } from './kind.ts'
import { literalText, placeholdersIn, template } from './placeholders.ts'
import { containerPorts } from './ports.ts'
import type { Report } from './report.ts'
import { type SecurityContext, secureDefaults, security } from './security.ts'
import { isNameTemplate, volumes } from './volumes.ts'
import { workingDir } from './working-dir.ts'

/** The pids limit of a container that says nothing: enough for a development box, too little for a fork bomb. */
export const DEFAULT_PIDS = 512
/** What the seed writes for "named by Hive". */
const NAMED_BY_HIVE = 'auto-generated'

/** Reads the `runner_config` of a docker or podman kind. What is wrong goes into the report; the rest gets defaults. */
export function readContainerConfig(
  raw: Readonly<Record<string, unknown>>,
  context: SecurityContext,
  report: Report,
): ContainerConfig {
  requireField(raw, 'image', 'an image reference, such as "ubuntu"', report)
  const read = readObject(refuseEngineOptions(raw, report), fields(context), '', report)
  const declared = [...(read.ports ?? []).map(({ port }) => port), ...(read.port === undefined ? [] : [read.port])]
  checkWake(read, report)
  checkPorts(read.health_check ?? [], { declared, right: 'one that stands in port or ports' }, report)
  return {
    runner: context.runner,
    ...commonConfig(read),
    ...containerParts(read),
    resources: { ...(read.resources ?? NO_RESOURCES), pids: read.resources?.pids ?? DEFAULT_PIDS },
    security: read.security ?? secureDefaults(),
  }
}

type Fields = ReturnType<typeof fields>

function fields(context: SecurityContext) {
  return {
    image: imageReference,
    command,
    args: listOf(template, 'strings'),
    container_name: containerName,
    working_dir: workingDir,
    volumes: volumes(context.policy),
    ports: containerPorts,
    resources,
    security: security(context),
    gpus,
    pull: oneOf('missing', 'always', 'never'),
    ...commonFields,
  } satisfies Readers
}

function containerParts(read: Read<Fields>) {
  return {
    image: read.image ?? '',
    command: read.command ?? null,
    args: read.args ?? null,
    containerName: read.container_name === NAMED_BY_HIVE ? null : (read.container_name ?? null),
    workingDir: read.working_dir ?? null,
    volumes: read.volumes ?? [],
    ports: read.ports ?? [],
    gpus: read.gpus ?? null,
    pull: read.pull ?? 'missing',
  } satisfies Partial<ContainerConfig>
}

/** The entrypoint: one program, or a program with its first arguments. */
const command: Reader<readonly string[]> = (value, field, report) => {
  const read = typeof value === 'string' ? oneToken(value, field, report) : argumentList(value, field, report)
  if (read?.length !== 0) return read
  report.problem(field, 'is empty', 'the program to run, or no command for the one of the image')
  return undefined
}

const argumentList = listOf(literalText, 'strings')

function oneToken(value: string, field: string, report: Report): readonly string[] | undefined {
  const read = literalText(value, field, report)
  if (read === undefined || read === '') return read === '' ? [] : undefined
  if (!/\s/.test(read)) return [read]
  report.problem(
    field,
    'has a blank in it, and Hive never splits a command',
    'an array, such as ["sh","-c","…"], or args',
  )
  return undefined
}

const containerName: Reader<string> = (value, field, report) => {
  const read = template(value, field, report)
  if (read === undefined || read === NAMED_BY_HIVE) return read
  const names = placeholdersIn(read)
  const isOwn = names.includes('service_name') || names.includes('request_id')
  if (isOwn && isNameTemplate(read)) return read
  const wrong = isOwn
    ? 'is not a name of letters, digits, _, . and -'
    : 'would be the same for every cocoon of the kind'
  report.problem(field, wrong, 'a name with {service_name} or {request_id} in it, such as "box-{service_name}"')
  return undefined
}

const gpus: Reader<number | 'all'> = (value, field, report) =>
  typeof value === 'string' ? oneOf('all')(value, field, report) : wholeNumber(1, 1024)(value, field, report)
