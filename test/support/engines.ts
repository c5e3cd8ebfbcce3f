/** The engines of scripts/engines.sh, as its `env` names them. */

export type EngineName = 'docker' | 'podman' | 'podman-rootless'

export interface TestEngine {
  readonly name: EngineName
  readonly type: 'docker' | 'podman'
  /** Address such as `unix:///…`; empty when the suite is skipped. */
  readonly host: string
  /** For `describe(…, { skip })`: why it is not there, or false. */
  readonly skip: string | false
}

export interface TestRegistry {
  /** `127.0.0.1:<port>` of the registry without a password; holds hive-test/httpd:1 and hive-test/big:1 (30 MB). */
  readonly plain: string
  /** The same images behind a password. */
  readonly auth: string
  readonly user: string
  readonly password: string
  readonly skip: string | false
}

const VARIABLES: Readonly<Record<EngineName, string>> = {
  docker: 'HIVE_TEST_DOCKER_HOST',
  podman: 'HIVE_TEST_PODMAN_HOST',
  'podman-rootless': 'HIVE_TEST_PODMAN_ROOTLESS_HOST',
}

/** Images that `scripts/engines.sh up` puts into every engine. */
export const TEST_IMAGES = {
  /** Serves `/` on 8080, which it EXPOSEs. */
  httpd: 'localhost/hive-test/httpd:1',
  /** HTTP echo, `/sse` and a WebSocket echo on 8080 (Node). */
  echo: 'localhost/hive-test/echo:1',
  /** No port. */
  sleep: 'localhost/hive-test/sleep:1',
  ignoreTerm: 'localhost/hive-test/ignore-term:1',
  /** Ends with $CODE (7) after $AFTER (1) seconds. */
  crashAfter: 'localhost/hive-test/crash-after:1',
  /** Listens on 8080 after $AFTER (1) seconds. */
  listenLate: 'localhost/hive-test/listen-late:1',
  /** Allocates memory without end: only with a limit! */
  hog: 'localhost/hive-test/hog:1',
  /** EXPOSEs 8080 and 9090 and has an anonymous volume at /data. */
  twoPorts: 'localhost/hive-test/two-ports:1',
} as const

/**
 * The engine of this name, or why its suite is skipped.
 * @throws Error  it is not there although `HIVE_TEST_ENGINES=required` (rootless Podman stays optional).
 */
export function engineOrSkip(name: EngineName): TestEngine {
  const type = name === 'docker' ? 'docker' : 'podman'
  const host = process.env[VARIABLES[name]] ?? ''
  return { name, type, host, skip: host === '' ? absent(VARIABLES[name], name !== 'podman-rootless') : false }
}

export function registryOrSkip(): TestRegistry {
  const { HIVE_TEST_REGISTRY: plain = '', HIVE_TEST_REGISTRY_AUTH: auth = '' } = process.env
  const { HIVE_TEST_REGISTRY_USER: user = '', HIVE_TEST_REGISTRY_PASSWORD: password = '' } = process.env
  const isThere = plain !== '' && auth !== ''
  return { plain, auth, user, password, skip: isThere ? false : absent('HIVE_TEST_REGISTRY', true) }
}

function absent(variable: string, isRequirable: boolean): string {
  const reason = `${variable} is not set: run scripts/engines.sh up and eval "$(scripts/engines.sh env)"`
  if (isRequirable && process.env['HIVE_TEST_ENGINES'] === 'required') throw new Error(reason)
  return reason
}
