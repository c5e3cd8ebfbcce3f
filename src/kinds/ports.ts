import { listOf, type Reader, text, textLike } from './fields.ts'
import type { PortSpec } from './kind.ts'
import type { Report } from './report.ts'

const RIGHT = '"8080" for a free host port on loopback, or "9000:8080" for host port 9000 (1024 or higher)'
const FIRST_FREE_PORT = 1024
const NUMBER = /^[1-9][0-9]{0,4}$/

/** `ports` of a container. */
export const containerPorts: Reader<readonly PortSpec[]> = (value, field, report) => {
  const read = listOf(portSpec, 'strings')(value, field, report)
  if (read === undefined) return undefined
  noTwice(
    read.map(({ port }) => port),
    'container port',
    field,
    report,
  )
  noTwice(
    read.flatMap(({ hostPort }) => (hostPort === null ? [] : [hostPort])),
    'host port',
    field,
    report,
  )
  return read
}

/** `ports` of a script: the names of further ports; Hive chooses the numbers and sets `PORT_<NAME>`. */
export const portNames: Reader<readonly string[]> = (value, field, report) => {
  const read = listOf(portName, 'names')(value, field, report)
  if (read !== undefined)
    noTwice(
      read.map((name) => name.toUpperCase()),
      'name',
      field,
      report,
    )
  return read
}

const portName = textLike(
  /^[A-Za-z][A-Za-z0-9_]{0,30}$/,
  'a name such as "metrics": the number is chosen by Hive and given to the script in PORT_METRICS',
)

const portSpec: Reader<PortSpec> = (value, field, report) => {
  const read = text(value, field, report)
  if (read === undefined) return undefined
  const spec = parsePort(read.endsWith('/tcp') ? read.slice(0, -'/tcp'.length) : read)
  if (typeof spec !== 'string') return spec
  report.problem(field, spec, RIGHT)
  return undefined
}

/** The ports a text means, or what is wrong with it. */
function parsePort(text: string): PortSpec | string {
  if (text.includes('/')) return 'names a protocol other than tcp'
  if (text.includes('-')) return 'is a range or a negative number'
  const parts = text.split(':')
  if (parts.length > 2) return 'names an address of the host; Hive publishes on loopback only'
  if (!parts.every((part) => NUMBER.test(part) && Number(part) <= 65_535))
    return 'is not made of port numbers from 1 to 65535'
  const [first = 0, second] = parts.map(Number)
  if (second === undefined) return { port: first, hostPort: null }
  return first < FIRST_FREE_PORT ? 'takes a host port below 1024' : { port: second, hostPort: first }
}

function noTwice(values: readonly (string | number)[], what: string, field: string, report: Report): void {
  const seen = new Set<string | number>()
  for (const value of values) {
    if (seen.has(value)) report.problem(field, `has the ${what} ${value} twice`, 'each one once')
    seen.add(value)
  }
}
