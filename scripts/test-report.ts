import { writeFileSync } from 'node:fs'
import { relative } from 'node:path'
import { Readable } from 'node:stream'
import { spec } from 'node:test/reporters'

interface TestEvent {
  readonly type: string
  readonly data: {
    readonly name?: string
    readonly file?: string
    /** The test file that was run; `file` is where the test is written, which may be a shared one. */
    readonly entryFile?: string
    readonly classname?: string
    readonly skip?: string | boolean
  }
}

interface Notes {
  readonly skipped: string[]
  readonly failedFiles: Set<string>
}

/**
 * The spec report of node:test, and at its end what was not run and why: a green run must not hide that. The files with
 * a failed test are written to the file that HIVE_TEST_FAILED names, a line each.
 */
// biome-ignore lint/style/noDefaultExport: --test-reporter takes the default export
export default async function* report(source: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  const notes: Notes = { skipped: [], failedFiles: new Set() }
  const watched = Readable.from(take(source, notes))
  for await (const text of watched.pipe(new spec())) yield String(text)
  if (notes.skipped.length > 0) yield `\nNot run:\n${notes.skipped.join('\n')}\n`
  const { HIVE_TEST_FAILED } = process.env
  if (HIVE_TEST_FAILED) writeFileSync(HIVE_TEST_FAILED, [...notes.failedFiles].map((file) => `${file}\n`).join(''))
}

async function* take(source: AsyncIterable<TestEvent>, { skipped, failedFiles }: Notes): AsyncGenerator<TestEvent> {
  for await (const event of source) {
    const { name, classname, skip, file: written, entryFile: file = written } = event.data
    if (event.type === 'test:fail' && file !== undefined) failedFiles.add(relative(process.cwd(), file))
    if (event.type === 'test:pass' && skip !== undefined) {
      const title = [file === undefined ? null : relative(process.cwd(), file), classname, name]
        .filter(Boolean)
        .join(' › ')
      skipped.push(`  ${title}\n    ${typeof skip === 'string' && skip !== '' ? skip : 'no reason given'}`)
    }
    yield event
  }
}
