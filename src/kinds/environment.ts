import { isEnvironmentName } from './accept.ts'
import { isObject, MAX_ITEMS, type Reader, wrongType } from './fields.ts'
import { secretTemplate } from './placeholders.ts'
import { quoted, type Report } from './report.ts'

const INJECTED = new Set([
  'SIGNALING_SERVER_URL',
  'COCOON_SETUP_TOKEN',
  'COCOON_SECRET',
  'COCOON_KIND',
  'COCOON_NAME',
  'COCOON_REQUEST_ID',
  'PORT',
  'HIVE_URL_PREFIX',
])

/** True for a variable that Hive sets by itself; its value wins over any other. */
export function isInjected(name: string): boolean {
  return INJECTED.has(name) || name.startsWith('PORT_')
}

/** `environment`: names to values. The values may be secret: no problem and no warning repeats one. */
export const environment: Reader<Readonly<Record<string, string>>> = (value, field, report) => {
  if (!isObject(value)) return wrongType(value, 'an object such as {"NAME":"value"}', field, report)
  const names = Object.keys(value)
  if (names.length > MAX_ITEMS) {
    report.problem(field, `has ${names.length} names`, `at most ${MAX_ITEMS}`)
    return undefined
  }
  const read = names.flatMap((name) => variable(name, value[name], field, report))
  return Object.fromEntries(read)
}

function variable(name: string, value: unknown, field: string, report: Report): [string, string][] {
  if (!isEnvironmentName(name)) {
    report.problem(
      field,
      `${quoted(name)} is not a name of an environment variable`,
      'letters, digits and _, no digit first',
    )
    return []
  }
  if (isInjected(name)) report.warning(`${field}.${name}`, "Hive sets this variable itself, and Hive's value wins")
  const read = secretTemplate(value, `${field}.${name}`, report)
  return read === undefined ? [] : [[name, read]]
}
