/** One entry of a comma list: its text without the blanks around it, and where that text starts. */
export interface ListEntry {
  readonly text: string
  readonly start: number
  /** A brace or string that does not close: such an entry is not read any further. */
  readonly fault: SplitFault | null
}

export interface SplitFault {
  readonly offset: number
  readonly wrong: string
  readonly right: string
}

/**
 * Splits a comma list into its entries, in one pass over the text.
 *
 * A comma splits only outside braces and outside the strings in them. Blank entries are left out and not counted.
 * A closing brace without an opening one, and a brace or string left open, are faults of the entry they stand in.
 */
export function splitEntries(text: string): readonly ListEntry[] {
  const entries: ListEntry[] = []
  let start = 0
  while (start <= text.length) {
    const { end, fault } = scanEntry(text, start)
    const entry = trimmed(text, start, end, fault)
    if (entry !== null) entries.push(entry)
    start = end + 1
  }
  return entries
}

interface Scan {
  depth: number
  /** Where the outermost open brace stands. */
  outermost: number
  fault: SplitFault | null
}

/** Finds the comma that ends the entry at `start`. */
function scanEntry(text: string, start: number): { readonly end: number; readonly fault: SplitFault | null } {
  const scan: Scan = { depth: 0, outermost: start, fault: null }
  let at = start
  for (; at < text.length && (text[at] !== ',' || scan.depth > 0); at += 1) {
    if (text[at] === '"' && scan.depth > 0) {
      const close = endOfString(text, at)
      if (close === -1) return { end: text.length, fault: scan.fault ?? openString(at) }
      at = close
    } else noteBrace(text, at, scan)
  }
  return { end: at, fault: scan.fault ?? (scan.depth > 0 ? openBrace(scan.outermost) : null) }
}

function noteBrace(text: string, at: number, scan: Scan): void {
  if (text[at] === '{') {
    if (scan.depth === 0) scan.outermost = at
    scan.depth += 1
  } else if (text[at] === '}') {
    if (scan.depth === 0) scan.fault ??= strayBrace(at)
    else scan.depth -= 1
  }
}

/** Index of the quote that closes the string opened at `open`, or -1. A backslash hides the character after it. */
function endOfString(text: string, open: number): number {
  for (let at = open + 1; at < text.length; at += 1) {
    if (text[at] === '\\') at += 1
    else if (text[at] === '"') return at
  }
  return -1
}

function trimmed(text: string, start: number, end: number, fault: SplitFault | null): ListEntry | null {
  const raw = text.slice(start, end)
  const cut = raw.trim()
  if (cut === '') return null
  return { text: cut, start: start + raw.length - raw.trimStart().length, fault }
}

function strayBrace(offset: number): SplitFault {
  return { offset, wrong: 'a } closes nothing', right: 'as many { as }, and JSON strings in double quotes' }
}

function openBrace(offset: number): SplitFault {
  return { offset, wrong: 'a { is never closed', right: 'as many } as {, and JSON strings in double quotes' }
}

function openString(offset: number): SplitFault {
  return { offset, wrong: 'a JSON string is never closed', right: 'a closing double quote' }
}
