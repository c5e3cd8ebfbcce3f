import type { KindSpec } from './kind.ts'

/**
 * Prints kinds as text of COCOON_KINDS that parses to the same kinds: one entry a line, short where it can be.
 * Holds the environment values as they are; pass kinds through `redactKind` before showing them.
 */
export function printKinds(kinds: readonly Pick<KindSpec, 'id' | 'runner_type' | 'runner_config'>[]): string {
  return kinds.length === 0 ? '[]' : kinds.map(printKind).join(',\n')
}

function printKind({ id, runner_type, runner_config }: Pick<KindSpec, 'id' | 'runner_type' | 'runner_config'>): string {
  const [only, ...more] = Object.entries(runner_config)
  const mainField = runner_type === 'script' ? 'command' : 'image'
  const isShort = only?.[0] === mainField && more.length === 0 && isBare(only[1])
  return `${id}:${runner_type}:${isShort ? only[1] : JSON.stringify(runner_config)}`
}

/** True for a string that a comma list gives back unchanged without JSON around it. */
function isBare(value: unknown): value is string {
  return typeof value === 'string' && value !== '' && !/[\s,{}"]/.test(value)
}
