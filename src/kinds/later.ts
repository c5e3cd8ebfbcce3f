import { listOf, objectOf, type Reader, type Readers, text, textLike } from './fields.ts'

/** Fields that the design names and no code acts on yet: their shape is checked, then they are refused with that reason. */
export function refusedForNow(shape: Reader<unknown>): Reader<never> {
  return (value, field, report) => {
    shape(value, field, report)
    report.problem(field, 'is set, but this version of Hive does not act on it yet', 'a kind without it')
    return undefined
  }
}

const sharedName = textLike(/^[a-z0-9](?:[a-z0-9-]{0,62})$/, 'a name of lower-case letters, digits and -')
const variableName = textLike(/^[A-Za-z_][A-Za-z0-9_]*$/, 'a name of letters, digits and _')

/** Template values under free names; unlike `environment` nothing of it is used, so only the shape counts. */
const shownVariables: Reader<unknown> = (value, field, report) => {
  const names = typeof value === 'object' && value !== null && !Array.isArray(value) ? Object.keys(value) : []
  return objectOf(Object.fromEntries(names.map((name) => [name, text])))(value, field, report)
}

/** Later fields of every runner. */
export const laterFields = {
  expose: refusedForNow(objectOf({ name: sharedName, secret: text, vars: shownVariables }, ['name'])),
  uses: refusedForNow(listOf(objectOf({ name: sharedName, secret: text, as: variableName }, ['name']), 'objects')),
} satisfies Readers
