import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pino } from 'pino'
import { buildApp } from '../src/app.ts'
import { readConfig } from '../src/config.ts'
import { openState } from '../src/services/table/open-state.ts'

/** Writes openapi/hive.v1.json from the route schemas; with --check it only compares, and fails on a difference. */
const FILE = new URL('../openapi/hive.v1.json', import.meta.url)
const VERSION = 'v1'

const text = `${JSON.stringify(await generate(), null, 2)}\n`
if (!process.argv.includes('--check')) {
  await writeFile(FILE, text)
} else if ((await readFile(FILE, 'utf8').catch(() => '')) !== text) {
  console.error('openapi/hive.v1.json is not what the routes say: run `npm run openapi` and commit the file')
  process.exitCode = 1
}

async function generate(): Promise<object> {
  const directory = await mkdtemp(join(tmpdir(), 'hive-openapi-'))
  try {
    const settings = readConfig({ COCOON_KINDS: '[]', HIVE_STATE_DIR: directory })
    if ('problems' in settings) throw new Error(settings.problems.join('\n'))
    const { config } = settings
    const { state, table } = await openState({ path: directory, token: null, masterKey: null })
    const log = pino({ level: 'silent' })
    const app = await buildApp({ config, state, table, log, version: VERSION, drivers: [] })
    await app.ready()
    const document = app.swagger()
    await app.close()
    return document
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}
