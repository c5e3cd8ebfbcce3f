/** Makes a function that says in words where an offset lies. One pass to build, a binary search per question. */
export function positionsIn(text: string): (offset: number) => string {
  const lineStarts = [0]
  for (let at = text.indexOf('\n'); at !== -1; at = text.indexOf('\n', at + 1)) lineStarts.push(at + 1)
  return (offset) => {
    const line = lastAtOrBefore(lineStarts, offset)
    const column = offset - (lineStarts[line] ?? 0) + 1
    return lineStarts.length === 1 ? `column ${column}` : `line ${line + 1}, column ${column}`
  }
}

function lastAtOrBefore(ascending: readonly number[], value: number): number {
  let low = 0
  let high = ascending.length - 1
  while (low < high) {
    const middle = Math.ceil((low + high) / 2)
    if ((ascending[middle] ?? 0) <= value) low = middle
    else high = middle - 1
  }
  return low
}
