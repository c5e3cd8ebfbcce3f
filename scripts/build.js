// Plain JavaScript that any Node ≥ 18 can read: `npm ci` runs it, also where the Node that belongs to it was left out.
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { BUILT_FROM, digestOf } from '../bin/built.js'

const ROOT = fileURLToPath(new URL('..', import.meta.url))

/** Without their api, which prom-client loads at each start. */
const TRACING = ['core', 'otlp-transformer', 'resources', 'sdk-trace'].map((name) => `@opentelemetry/${name}`)

/** What a start does not need, or what reads files beside itself: loaded from node_modules if and when it is used. */
const EXTERNAL = ['dockerode', '@fastify/swagger-ui', ...TRACING]

/** CommonJS packages in a module: `require` is theirs by right (esbuild.github.io/api/#banner). */
const REQUIRE = "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);"

/**
 * Makes dist/: Hive and the packages it needs at a start in few files instead of 2,000, which halves the start.
 * The digest comes last, so that half a build is never run. With --if-possible a missing esbuild (`npm ci --omit=dev`)
 * or sources that do not build are told and no failure: Hive runs from its sources then.
 */
async function build() {
  rmSync(join(ROOT, 'dist'), { recursive: true, force: true })
  const { build } = await import('esbuild')
  const digest = digestOf(ROOT)
  await build({
    absWorkingDir: ROOT,
    entryPoints: { main: 'src/cli/main.ts', 'table-worker': 'src/services/table/table-worker.ts' },
    outdir: 'dist',
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node24',
    external: EXTERNAL,
    banner: { js: REQUIRE },
    logLevel: 'warning',
  })
  writeFileSync(join(ROOT, BUILT_FROM), digest)
}

try {
  await build()
} catch (error) {
  if (!process.argv.includes('--if-possible')) throw error
  process.stderr.write(`dist/ was not built, Hive runs from its sources: ${error.message}\n`)
}
