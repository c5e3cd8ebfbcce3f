import { relative } from 'node:path'
import { Readable } from 'node:stream'
import { spec } from 'node:test/reporters'

interface TestEvent {
  readonly type: string
  readonly data: {
    readonly name?: string
    readonly file?: string
    readonly classname?: string
    readonly skip?: string | boolean
  }
}

/** The spec report of node:test, and at its end what was not run and why: a green run must not hide that. */
// biome-ignore lint/style/noDefaultExport: --test-reporter takes the default export
export default async function* report(source: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  const skipped: string[] = []
  const watched = Readable.from(noteSkips(source, skipped))
  for await (const text of watched.pipe(new spec())) yield String(text)
  if (skipped.length > 0) yield `\nNot run:\n${skipped.join('\n')}\n`
}

async function* noteSkips(source: AsyncIterable<TestEvent>, skipped: string[]): AsyncGenerator<TestEvent> {
  for await (const event of source) {
    const { name, file, classname, skip } = event.data
    if (event.type === 'test:pass' && skip !== undefined) {
      const title = [file === undefined ? null : relative(process.cwd(), file), classname, name]
        .filter(Boolean)
        .join(' › ')
      skipped.push(`  ${title}\n    ${typeof skip === 'string' && skip !== '' ? skip : 'no reason given'}`)
    }
    yield event
  }
}
