import { Secret } from '../secret.ts'
import type { SamplerName, TracingSettings } from '../settings.ts'
import { type SettingReader, type SettingSource, setText, wrongSetting } from './notes.ts'
import { oneOf, textBy, wholeNumber } from './readers.ts'
import { httpUrl } from './webhook.ts'

/**
 * The standard variables of OpenTelemetry (its specification, "Environment Variable Specification" and "OTLP
 * Exporter"). The one for traces wins over the one for all signals. Without an endpoint nothing else is read.
 */
export function readTracing(source: SettingSource): TracingSettings | null {
  if (isOff(source)) return null
  const endpoint = readEndpoint(source)
  if (endpoint === null) return null
  refuseUnsupported(source)
  return {
    endpoint,
    headers: either(source, 'HEADERS', headers),
    timeoutMs: either(source, 'TIMEOUT', wholeNumber(1, 600_000)) ?? 10_000,
    gzip: either(source, 'COMPRESSION', oneOf('none', 'gzip')) === 'gzip',
    delayMs: source.read('OTEL_BSP_SCHEDULE_DELAY', wholeNumber(1, 600_000), 5_000),
    ...readResource(source),
    sampler: readSampler(source),
  }
}

function isOff({ env, read }: SettingSource): boolean {
  if (setText(env, 'OTEL_SDK_DISABLED')?.toLowerCase() === 'true') return true
  return read('OTEL_TRACES_EXPORTER', oneOf('otlp', 'none'), 'otlp') === 'none'
}

function readEndpoint({ read }: SettingSource): string | null {
  const whole = read('OTEL_EXPORTER_OTLP_TRACES_ENDPOINT', httpUrl, null)
  if (whole !== null) return whole
  const base = read('OTEL_EXPORTER_OTLP_ENDPOINT', httpUrl, null)
  if (base === null) return null
  const url = new URL(base)
  url.pathname = `${url.pathname.replace(/\/$/, '')}/v1/traces`
  return url.href
}

function either<T>({ read, env }: SettingSource, what: string, reader: SettingReader<T>): T | null {
  const own = `OTEL_EXPORTER_OTLP_TRACES_${what}`
  return read(setText(env, own) === null ? `OTEL_EXPORTER_OTLP_${what}` : own, reader, null)
}

/** What would change where or how spans go, so that going on without it would be wrong. */
function refuseUnsupported(source: SettingSource): void {
  either(source, 'PROTOCOL', oneOf('http/protobuf'))
  for (const what of ['CERTIFICATE', 'CLIENT_CERTIFICATE', 'CLIENT_KEY'])
    either(source, what, (_text, name, notes) =>
      wrongSetting(name, 'is not supported', 'NODE_EXTRA_CA_CERTS for a further authority', notes),
    )
}

function readResource(source: SettingSource): Pick<TracingSettings, 'serviceName' | 'resource'> {
  const attributes: Record<string, string> = source.read('OTEL_RESOURCE_ATTRIBUTES', pairs(/^[\x21-\x7e]+$/), {})
  const { 'service.name': named, ...resource } = attributes
  return { serviceName: setText(source.env, 'OTEL_SERVICE_NAME') ?? named ?? 'hive', resource }
}

const SAMPLERS = ['always_on', 'always_off', 'traceidratio'] as const satisfies readonly SamplerName[]
const PARENT_BASED = 'parentbased_'

function readSampler({ read }: SettingSource): TracingSettings['sampler'] {
  const choices = [...SAMPLERS.map((name) => `${PARENT_BASED}${name}`), ...SAMPLERS]
  const chosen = read('OTEL_TRACES_SAMPLER', oneOf(...choices), `${PARENT_BASED}always_on`)
  const name = SAMPLERS.find((one) => chosen.endsWith(one)) ?? 'always_on'
  const ratio = name === 'traceidratio' ? read('OTEL_TRACES_SAMPLER_ARG', share, 1) : 1
  return { name, ratio, byParent: chosen.startsWith(PARENT_BASED) }
}

const share = textBy((text) => {
  const value = /^[0-9.]{1,20}$/.test(text) ? Number(text) : Number.NaN
  return value >= 0 && value <= 1 ? value : null
}, 'a number from 0 to 1, such as 0.25')

/** RFC 9110 §5.6.2, and §5.5 without anything beyond ASCII. */
const FIELD_NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/
const FIELD_VALUE = /^[\t\x20-\x7e]*$/

const headers: SettingReader<Secret> = (text, name, notes) => {
  const read = pairs(FIELD_NAME, FIELD_VALUE)(text, name, notes)
  return read && new Secret(JSON.stringify(read))
}

/** `key=value,key=value`, values percent-encoded where needed; problems say the place, since a value may be a key. */
function pairs(keyForm: RegExp, valueForm = /^[^\0]*$/): SettingReader<Record<string, string>> {
  return (text, name, notes) => {
    const found: [string, string][] = []
    for (const [index, part] of text.split(',').entries()) {
      if (part.trim() === '') continue
      const [, key = '', value = ''] = /^([^=]*)=(.*)$/s.exec(part) ?? []
      const decoded = decode(value.trim())
      if (!keyForm.test(key.trim()) || decoded === null || !valueForm.test(decoded))
        return wrongSetting(name, `has a wrong item in place ${index + 1}`, 'key=value,key=value', notes)
      found.push([key.trim(), decoded])
    }
    return Object.fromEntries(found)
  }
}

function decode(text: string): string | null {
  try {
    return decodeURIComponent(text)
  } catch {
    return null // a % that begins no code
  }
}
