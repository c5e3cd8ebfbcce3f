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
  return INJECTED.has(name) || name.startsWith('PORT_') || name.startsWith('HIVE_USES_')
}

/** Names to values. The values may be secret: no problem and no warning repeats one. */
export function variables(template: Reader<string>): Reader<Readonly<Record<string, string>>> {
  return (value, field, report) => {
    if (!isObject(value)) return wrongType(value, 'an object such as {"NAME":"value"}', field, report)
    const names = Object.keys(value)
    if (names.length > MAX_ITEMS) {
      report.problem(field, `has ${names.length} names`, `at most ${MAX_ITEMS}`)
      return undefined
    }
    const read = names.flatMap((name) => {
      if (!isVariable(name, field, report)) return []
      const text = template(value[name], `${field}.${name}`, report)
      return text === undefined ? [] : [[name, text] as const]
    })
    return Object.fromEntries(read)
  }
}

/** `environment`. */
export const environment = variables(secretTemplate)

function isVariable(name: string, field: string, report: Report): boolean {
  if (!isEnvironmentName(name)) {
    report.problem(
      field,
      `${quoted(name)} is not a name of an environment variable`,
      'letters, digits and _, no digit first',
    )
    return false
  }
  if (isInjected(name)) report.warning(`${field}.${name}`, "Hive sets this variable itself, and Hive's value wins")
  return true
}
