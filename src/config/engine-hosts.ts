import { type SettingSource, setText } from './notes.ts'
import { plainPath, textBy } from './readers.ts'

const DOCKER_SOCKET = 'unix:///var/run/docker.sock'
const PODMAN_ROOT_SOCKET = 'unix:///run/podman/podman.sock'

/** Addresses of the Docker engine in the order to try: the operator's own one alone, else the usual socket. */
export function dockerHosts(source: SettingSource): readonly string[] {
  return chosenHost(source, ['HIVE_DOCKER_HOST', 'DOCKER_HOST']) ?? [DOCKER_SOCKET]
}

/** Addresses of Podman in the order to try: the operator's own one alone, else the user's socket, then root's. */
export function podmanHosts(source: SettingSource, uid: number | null): readonly string[] {
  const chosen = chosenHost(source, ['HIVE_PODMAN_HOST', 'CONTAINER_HOST'])
  if (chosen !== null) return chosen
  const runtimeDir = plainPath(source.env['XDG_RUNTIME_DIR'] ?? '') ?? (uid === null ? null : `/run/user/${uid}`)
  const own = runtimeDir === null ? [] : [`unix://${runtimeDir}/podman/podman.sock`]
  return [...own, PODMAN_ROOT_SOCKET]
}

/** The first of these settings that is set. A wrong one is a problem, never a reason to talk to another engine. */
function chosenHost(source: SettingSource, names: readonly string[]): readonly string[] | null {
  const name = names.find((candidate) => setText(source.env, candidate) !== null)
  return name === undefined ? null : [source.read(name, engineHost, '')]
}

const engineHost = textBy(
  (text) => (isSocketAddress(text) || isTcpAddress(text) ? text : null),
  'unix:///path/of.sock, tcp://host:port or http://host:port (set HIVE_DOCKER_HOST or HIVE_PODMAN_HOST if this variable is for other programs)',
)

function isSocketAddress(text: string): boolean {
  return text.startsWith('unix://') && plainPath(text.slice('unix://'.length)) !== null
}

function isTcpAddress(text: string): boolean {
  if (!/^(?:tcp|http):\/\//.test(text)) return false
  // The URL class knows no default port for tcp:, so that it is read as http:.
  const address = text.replace(/^tcp:/, 'http:')
  if (!URL.canParse(address)) return false
  const { username, password, pathname, search, hash } = new URL(address)
  return username === '' && password === '' && pathname === '/' && search === '' && hash === ''
}
