import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { acceptsEnvironment, matchesGlob } from '../../src/kinds/accept.ts'
import { boxConfig, boxText, complaintsOf, nativeConfig } from '../support/kind-texts.ts'

const NEVER = [
  ...[
    'LD_PRELOAD',
    'LD_',
    'DYLD_INSERT_LIBRARIES',
    'NODE_OPTIONS',
    'NODE_ENV',
    'PYTHONPATH',
    'PERL5LIB',
    'PERLLIB',
    'RUBYOPT',
  ],
  ...['JAVA_TOOL_OPTIONS', 'GIT_SSH_COMMAND', 'BASH_ENV', 'ENV', 'PATH', 'HOME'],
  ...['COCOON_SECRET', 'COCOON_ANYTHING', 'SIGNALING_SERVER_URL', 'PORT', 'PORT_ADMIN', 'HIVE_URL_PREFIX'],
]

test('acceptsEnvironment: a kind that says nothing accepts all but loader switches and injected names', () => {
  const config = nativeConfig({})
  for (const name of [
    'A',
    '_x',
    'DATABASE_URL',
    'PATHS',
    'HOMEPAGE',
    'ENVIRONMENT',
    'PORTS',
    'MY_LD_PRELOAD',
    '__proto__',
  ])
    assert.equal(acceptsEnvironment(config, name), true, name)
  for (const name of NEVER) assert.equal(acceptsEnvironment(config, name), false, name)
})

test('acceptsEnvironment: no glob opens what is never accepted', () => {
  const config = boxConfig({ accept_environment: ['*', 'P*', '*_*'] })
  for (const name of NEVER) assert.equal(acceptsEnvironment(config, name), false, name)
})

test('acceptsEnvironment: a name must be one, whatever the globs say', () => {
  for (const name of ['', '1A', 'A B', 'A=B', 'A-B', 'A\0', 'Ä', 'A'.repeat(300)])
    assert.equal(acceptsEnvironment(nativeConfig({}), name), false, JSON.stringify(name))
})

test('acceptsEnvironment: only what a glob names is accepted, case counts', () => {
  const config = boxConfig({ accept_environment: ['APP_*', 'DEBUG', '*_URL'] })
  for (const name of ['APP_', 'APP_X', 'DEBUG', 'A_URL']) assert.equal(acceptsEnvironment(config, name), true, name)
  for (const name of ['APP', 'app_x', 'DEBUG2', 'XDEBUG', 'A_URLS'])
    assert.equal(acceptsEnvironment(config, name), false, name)
  assert.equal(acceptsEnvironment(boxConfig({ accept_environment: [] }), 'A'), false)
})

test('accept_environment: a glob that is none, or that could never match, is a problem', () => {
  for (const glob of ['', 'A-B', 'A B', '1A', 'A?'])
    assert.match(complaintsOf(boxText({ accept_environment: [glob] })), /right form|is empty/, glob)
  for (const glob of ['LD_PRELOAD', 'LD_*', 'NODE_O*', 'PATH', 'COCOON_*', 'PORT', 'PORT_A*'])
    assert.match(complaintsOf(boxText({ accept_environment: [glob] })), /can never be set by a request/, glob)
  for (const glob of ['LD*', 'PATH*', 'PORT*', 'H*', 'LDX'])
    assert.deepEqual(boxConfig({ accept_environment: [glob] }).acceptEnvironment, [glob])
})

test('matchesGlob: agrees with a pattern of the same meaning', () => {
  const letters = fc.string({ unit: fc.constantFrom('A', 'B'), maxLength: 8 })
  const globs = fc.string({ unit: fc.constantFrom('A', 'B', '*'), maxLength: 6 })
  fc.assert(
    fc.property(globs, letters, (glob, name) => {
      assert.equal(matchesGlob(glob, name), new RegExp(`^${glob.replaceAll('*', '.*')}$`).test(name))
    }),
    { numRuns: 2_000 },
  )
})
