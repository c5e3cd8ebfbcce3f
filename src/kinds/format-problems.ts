import type { KindProblem } from './kind.ts'

/** One problem as a line for the terminal: `entry 2 (native), args[1]: {nmae} is not a known placeholder. Right: …`. */
export function formatKindProblem({ entry, id, field, wrong, right }: KindProblem): string {
  const where = entry === 0 ? [] : [`entry ${entry}${id === null ? '' : ` (${id})`}`]
  const place = [...where, ...(field === null ? [] : [field])].join(', ')
  return `${place === '' ? '' : `${place}: `}${wrong}. Right: ${right}.`
}

/** All problems, a line each, ready to print behind a heading. */
export function formatKindProblems(problems: readonly KindProblem[]): string {
  return problems.map((problem) => `  COCOON_KINDS ${formatKindProblem(problem)}`).join('\n')
}
