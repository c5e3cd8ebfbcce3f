import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { until } from '../support/deadline.ts'
import { serverBench } from '../support/hive-server.ts'
import { openServer, SECRET } from '../support/signaling.ts'
import { tempDirectory } from '../support/temp-directory.ts'

test('issue 5.1: wss with a private CA works by NODE_EXTRA_CA_CERTS, and is refused without', async (t) => {
  const directory = await tempDirectory(t)
  const [key, cert] = [join(directory, 'key.pem'), join(directory, 'cert.pem')]
  const subject = ['-subj', '/CN=signal', '-addext', 'subjectAltName=IP:127.0.0.1', '-days', '2']
  const fresh = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes']
  execFileSync('openssl', [...fresh, '-keyout', key, '-out', cert, ...subject], { stdio: 'ignore' })
  const tls = { key: readFileSync(key, 'utf8'), cert: readFileSync(cert, 'utf8') }
  const server = await openServer(t, { tls })
  assert.match(server.url, /^wss:/)
  const bench = await serverBench(t, { SIGNALING_SERVER_URL: server.url, HIVE_SECRET: SECRET, HIVE_ID: 'tls' })
  const distrustful = bench.start()
  const { reason } = await distrustful.line('signaling: not connected')
  assert.match(String(reason), /self.signed|certificate/)
  distrustful.child.kill('SIGTERM')
  assert.equal(await distrustful.exit(), 0)
  const trusting = bench.start({ NODE_EXTRA_CA_CERTS: cert })
  await trusting.line('signaling: registered')
  await until(() => server.hives[0]?.hiveId === 'tls', 5_000, 'the hive')
  trusting.child.kill('SIGTERM')
  assert.equal(await trusting.exit(), 0)
})
