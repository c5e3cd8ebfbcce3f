import type { LogLine } from '../../src/logs/log-line.ts'

export type AnyLine = LogLine & { readonly marker?: string }

/** The lines of an NDJSON answer. */
export function linesOf(text: string): AnyLine[] {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as AnyLine)
}

/** The whole answer of a service's logs. */
export async function logText(hive: { url: string; token: string }, name: string, query: string): Promise<string> {
  const headers = { authorization: `Bearer ${hive.token}` }
  const answer = await fetch(`${hive.url}/services/${name}/logs${query}`, { headers })
  const text = await answer.text()
  if (answer.status !== 200) throw new Error(`${answer.status}: ${text}`)
  return text
}

/** What was written to a stream, from its lines. */
export function outputOf(lines: readonly AnyLine[], stream: 'stdout' | 'stderr'): string {
  return lines
    .filter((line) => line.stream === stream)
    .map(({ line, partial }) => (partial ? line : `${line}\n`))
    .join('')
}

/** Follows a log and hands over each line until told to stop or the answer ends. */
export async function followLines(
  url: string,
  token: string,
  { onLine, signal }: { onLine: (line: AnyLine) => void; signal: AbortSignal },
): Promise<void> {
  const answer = await fetch(url, { headers: { authorization: `Bearer ${token}` }, signal })
  if (answer.status !== 200) throw new Error(`${answer.status}: ${await answer.text()}`)
  let rest = ''
  for await (const chunk of answer.body?.pipeThrough(new TextDecoderStream()) ?? []) {
    const lines = (rest + chunk).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) onLine(JSON.parse(line) as AnyLine)
  }
}
