import { Secret } from '../secret.ts'
import { variables } from './environment.ts'
import { listOf, objectOf, type Reader, text, textLike } from './fields.ts'
import type { ExposeSpec, UseSpec } from './kind.ts'
import { secretTemplateWith } from './placeholders.ts'

const MAX_SECRET = 1024

const sharedName = textLike(/^[a-z0-9][a-z0-9-]{0,62}$/, '1 to 63 lower-case letters, digits and -, no - first')
const alias = textLike(/^[A-Za-z_][A-Za-z0-9_]{0,62}$/, 'letters, digits and _, no digit first')

/** The value is never repeated, not even its length. */
const secret: Reader<Secret> = (value, field, report) => {
  const read = text(value, field, report)
  if (read === undefined) return undefined
  if (read !== '' && read.length <= MAX_SECRET) return new Secret(read)
  report.problem(field, read === '' ? 'is empty' : 'is too long', `1 to ${MAX_SECRET} characters, or no secret`)
  return undefined
}

const exposeShape = objectOf({ name: sharedName, secret, vars: variables(secretTemplateWith('host')) }, ['name'])

/** `expose`: what a cocoon of this kind gives to others. */
export const expose: Reader<ExposeSpec> = (value, field, report) => {
  const read = exposeShape(value, field, report)
  if (read?.name === undefined) return undefined
  return { name: read.name, secret: read.secret ?? null, vars: read.vars ?? {} }
}

const useShape = objectOf({ name: sharedName, secret, as: alias }, ['name'])

const use: Reader<UseSpec> = (value, field, report) => {
  const read = useShape(value, field, report)
  if (read?.name === undefined) return undefined
  return { name: read.name, secret: read.secret ?? null, as: read.as ?? null }
}

/** `uses`: what a cocoon of this kind needs of others. Each name once, and each prefix of variables once. */
export const uses: Reader<readonly UseSpec[]> = (value, field, report) => {
  const read = listOf(use, 'objects such as {"name":"db"}')(value, field, report)
  const names = new Set<string>()
  const prefixes = new Set<string>()
  for (const one of read ?? []) {
    if (names.has(one.name)) report.problem(field, `has ${one.name} twice`, 'each name once')
    else if (prefixes.has(usesPrefix(one)))
      report.problem(field, `has two that become ${usesPrefix(one)}URL`, 'another "as" for one of them')
    names.add(one.name)
    prefixes.add(usesPrefix(one))
  }
  return read
}

/** What the variables about a used name begin with: `HIVE_USES_DB_` for `db`. */
export function usesPrefix({ name, as }: Pick<UseSpec, 'name' | 'as'>): string {
  return `HIVE_USES_${(as ?? name).toUpperCase().replaceAll('-', '_')}_`
}
