import assert from 'node:assert/strict'
import { formatKindProblems } from '../../src/kinds/format-problems.ts'
import type { ContainerConfig, KindPolicy, KindProblem, KindSpec, ScriptConfig } from '../../src/kinds/kind.ts'
import { parseKinds } from '../../src/kinds/parse.ts'

/** An operator who allows nothing beyond the safe defaults. */
export const strict: KindPolicy = { allowHostPaths: [], allow: new Map() }

/** Kinds of a text that must have no problem. */
export function kindsOf(text: string | undefined, policy = strict): readonly KindSpec[] {
  const { kinds, problems } = parseKinds(text, policy)
  assert.equal(formatKindProblems(problems), '')
  return kinds
}

/** Problems of a text that must have some. */
export function problemsOf(text: string, policy = strict): readonly KindProblem[] {
  const { problems } = parseKinds(text, policy)
  assert.notEqual(problems.length, 0, 'the text was accepted')
  return problems
}

/** All problems of a text as the operator sees them. */
export function complaintsOf(text: string, policy = strict): string {
  return formatKindProblems(problemsOf(text, policy))
}

/** COCOON_KINDS with one docker kind `box` of image busybox and these further fields. */
export function boxText(fields: object, runner = 'docker'): string {
  return `box:${runner}:${JSON.stringify({ image: 'busybox', ...fields })}`
}

/** COCOON_KINDS with one script kind `native` of command `worker` and these further fields. */
export function nativeText(fields: object): string {
  return `native:script:${JSON.stringify({ command: 'worker', ...fields })}`
}

export function boxConfig(fields: object, policy = strict, runner = 'docker'): ContainerConfig {
  const [kind] = kindsOf(boxText(fields, runner), policy)
  assert.ok(kind && kind.config.runner !== 'script')
  return kind.config
}

export function nativeConfig(fields: object): ScriptConfig {
  const [kind] = kindsOf(nativeText(fields))
  assert.ok(kind?.config.runner === 'script')
  return kind.config
}
