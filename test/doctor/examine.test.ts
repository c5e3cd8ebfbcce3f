import assert from 'node:assert/strict'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { chmod, rm, writeFile } from 'node:fs/promises'
import { type AddressInfo, createServer } from 'node:net'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { examine, type Finding } from '../../src/doctor.ts'
import { openServiceTable } from '../../src/services/table/table.ts'
import { hive } from '../support/command-line.ts'
import { requestedRow } from '../support/service-row.ts'
import { tempDirectory } from '../support/temp-directory.ts'

const NO_ENGINES = {
  HIVE_DOCKER_HOST: 'unix:///nonexistent/docker.sock',
  HIVE_PODMAN_HOST: 'unix:///nonexistent/podman.sock',
}

async function environment(t: TestContext, more: Readonly<Record<string, string>> = {}) {
  const directory = await tempDirectory(t)
  const base = {
    PATH: process.env['PATH'] ?? '',
    HIVE_STATE_DIR: directory,
    HIVE_PORT: '0',
    COCOON_KINDS: 'w:script:sh',
  }
  return { directory, env: { ...base, ...NO_ENGINES, ...more } }
}

function of(findings: readonly Finding[], area: Finding['area'], level: Finding['level']): string {
  return findings
    .filter((finding) => finding.area === area && finding.level === level)
    .map(({ text, mend }) => `${text} → ${mend}`)
    .join('\n')
}

describe('hive doctor', () => {
  it('finds nothing wrong where nothing is, and makes nothing', async (t) => {
    const { directory, env } = await environment(t)
    await rm(directory, { recursive: true })
    const findings = await examine(env)
    assert.deepEqual(
      findings.filter(({ level }) => level === 'bad'),
      [],
    )
    assert.equal(existsSync(directory), false)
  })

  it('says every setting and kind that is wrong', async (t) => {
    const { env } = await environment(t, { HIVE_PORT: 'x', COCOON_KINDS: 'a:script,b:docker:UPPER CASE' })
    const said = of(await examine(env), 'settings', 'bad')
    for (const part of ['HIVE_PORT', 'entry 1', 'entry 2']) assert.match(said, new RegExp(part))
  })

  it('says which runner does not answer, and which kinds wait for it; a command that is not there; an open port', async (t) => {
    const server = createServer().listen(0, '127.0.0.1')
    await once(server, 'listening')
    t.after(() => server.close())
    const { port } = server.address() as AddressInfo
    const { env } = await environment(t, {
      HIVE_PORT: String(port),
      COCOON_KINDS: 'w:script:no-such-command,box:docker:image',
    })
    const findings = await examine(env)
    assert.match(of(findings, 'runner', 'bad'), /^docker: no docker engine answers.*→.*box/)
    assert.match(of(findings, 'kind', 'bad'), /w \(script\).*no-such-command/)
    assert.match(of(findings, 'port', 'warn'), /in use/)
  })

  it('says a table that is damaged, one in use, and a directory that others can read', async (t) => {
    const { directory, env } = await environment(t)
    await chmod(directory, 0o755)
    const table = await openServiceTable(directory)
    t.after(() => table.close())
    await table.write(requestedRow())
    const first = await examine(env)
    assert.match(of(first, 'table', 'ok'), /a Hive uses it now/)
    assert.match(of(first, 'state', 'warn'), /read by others.*chmod 700/)
    await table.close()
    await writeFile(join(directory, 'hive.db'), 'garbage '.repeat(1000))
    assert.match(of(await examine(env), 'table', 'bad'), /not a database.*doctor --rebuild/)
  })

  it('prints what is wrong with its mend, and exits 1', async (t) => {
    const { env } = await environment(t, { COCOON_KINDS: 'box:docker:image' })
    const ran = await hive(['doctor'], { env })
    assert.equal(ran.code, 1)
    assert.match(ran.stdout, /^BAD {3}runner {4}docker: .*\n {16}→ /m)
    const json = await hive(['doctor', '--json'], { env })
    assert.ok(JSON.parse(json.stdout).findings.length > 5)
  })
})
