import { isKindId } from '../kinds/entry.ts'
import type { KindPolicy, KindSpec } from '../kinds/kind.ts'
import { allowedWhat, isAllowName } from './names.ts'
import type { SettingSource } from './notes.ts'
import { listOf, plainPath } from './readers.ts'

const kindIds = listOf((text) => (isKindId(text) ? text : null), 'ids of kinds, joined by commas')
const paths = listOf(plainPath, 'absolute paths without . and .., joined by commas or colons', /[,:]/)

/** What the operator allows beyond the safe defaults: `HIVE_ALLOW_HOST_PATHS` and every `HIVE_ALLOW_<WHAT>`. */
export function readPolicy(source: SettingSource): KindPolicy {
  const allow = Object.keys(source.env)
    .filter(isAllowName)
    .map((name) => [allowedWhat(name), new Set(source.read(name, kindIds, []))] as const)
  return { allowHostPaths: source.read('HIVE_ALLOW_HOST_PATHS', paths, []), allow: new Map(allow) }
}

/** A warning for every allowance that names a kind which does not exist: most likely a slip. */
export function strayAllowances(policy: KindPolicy, kinds: readonly KindSpec[]): readonly string[] {
  const known = new Set(kinds.map(({ id }) => id))
  return [...policy.allow].flatMap(([what, ids]) =>
    [...ids]
      .filter((id) => !known.has(id))
      .map((id) => `HIVE_ALLOW_${what.toUpperCase()} names ${id}, which is not a kind.`),
  )
}
