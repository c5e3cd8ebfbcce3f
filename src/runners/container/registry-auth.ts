import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { LaunchRefused } from '../driver.ts'

/** Asks a credential helper (`docker-credential-<helper> get`); null = it has nothing for this registry. */
export type RunCredentialHelper = (
  helper: string,
  registry: string,
  signal: AbortSignal,
) => Promise<{ readonly username: string; readonly secret: string } | null>

export interface Login {
  readonly username: string
  readonly secret: string
}

export interface Credentials {
  readonly registry: string
  readonly login: Login | null
  /** The file they are from. */
  readonly source: string | null
  /** Files that were there and had none for this registry. */
  readonly looked: readonly string[]
}

export interface CredentialSearch {
  readonly files: readonly string[]
  /** True if the operator named the file: then it must be there and be whole. */
  readonly isNamed: boolean
  readonly runCredentialHelper: RunCredentialHelper | null
  readonly onWarning: (message: string) => void
}

interface AuthFile {
  readonly auths?: Readonly<Record<string, AuthEntry>>
  readonly credHelpers?: Readonly<Record<string, string>>
  readonly credsStore?: string
}

interface AuthEntry {
  readonly auth?: string
  readonly username?: string
  readonly password?: string
  readonly identitytoken?: string
}

const DOCKER_HUB = 'docker.io'
/** What docker login writes for Docker Hub. */
const DOCKER_HUB_KEY = 'https://index.docker.io/v1/'
/** The user name that stands for "the secret is an identity token". */
const TOKEN_USER = '<token>'

/** Where docker and podman keep credentials; each runner's own place comes first. */
export function usualAuthFiles(
  runner: 'docker' | 'podman',
  home: string | null,
  uid: number | null,
): readonly string[] {
  const docker = home === null ? [] : [join(home, '.docker/config.json')]
  // containers-auth.json(5)
  const run = uid === null ? [] : [`/run/user/${uid}/containers/auth.json`, `/run/containers/${uid}/auth.json`]
  const podman = [...run, ...(home === null ? [] : [join(home, '.config/containers/auth.json')])]
  return runner === 'docker' ? [...docker, ...podman] : [...podman, ...docker]
}

/**
 * Finds the credentials for an image. The first file that has some for its registry wins.
 * @throws LaunchRefused  a file that the operator named is missing or broken.
 */
export async function findCredentials(
  image: string,
  search: CredentialSearch,
  signal: AbortSignal,
): Promise<Credentials> {
  const repository = repositoryOf(image)
  const registry = repository.slice(0, repository.indexOf('/'))
  const looked: string[] = []
  for (const path of search.files) {
    const file = await readAuthFile(path, search)
    if (file === null) continue
    const login = await loginIn(file, repository, search, signal)
    if (login !== null) return { registry, login, source: path, looked }
    looked.push(path)
  }
  return { registry, login: null, source: null, looked }
}

/** The value of X-Registry-Auth before its encoding; null = no credentials. */
export function registryAuthHeader({ registry, login }: Credentials): Readonly<Record<string, string>> | null {
  if (login === null) return null
  if (login.username === TOKEN_USER) return { identitytoken: login.secret, serveraddress: registry }
  return { username: login.username, password: login.secret, serveraddress: registry }
}

/** `registry/path` without tag and digest, Docker Hub written out. */
export function repositoryOf(image: string): string {
  const [beforeDigest = ''] = image.split('@')
  const slash = beforeDigest.lastIndexOf('/')
  const colon = beforeDigest.indexOf(':', slash + 1)
  const name = colon === -1 ? beforeDigest : beforeDigest.slice(0, colon)
  const first = name.includes('/') ? name.slice(0, name.indexOf('/')) : ''
  const isRegistry = /[.:]/.test(first) || first === 'localhost'
  if (isRegistry) return name
  return `${DOCKER_HUB}/${first === '' ? `library/${name}` : name}`
}

async function readAuthFile(path: string, search: CredentialSearch): Promise<AuthFile | null> {
  try {
    const file: unknown = JSON.parse(await readFile(path, 'utf8'))
    if (typeof file === 'object' && file !== null) return file
    throw new Error('it is not a JSON object')
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    // The parser's own message would quote the file.
    const why = code ?? (error instanceof SyntaxError ? 'it is not JSON' : (error as Error).message)
    if (search.isNamed) throw new LaunchRefused(`the registry auth file ${path} cannot be read: ${why}`)
    if (code !== 'ENOENT') search.onWarning(`the registry auth file ${path} is passed over: ${why}`)
    return null
  }
}

async function loginIn(
  file: AuthFile,
  repository: string,
  search: CredentialSearch,
  signal: AbortSignal,
): Promise<Login | null> {
  const keys = keysFor(repository)
  const stored = keys.flatMap((key) => loginOf(file.auths?.[key]))
  const own = keys.map((key) => file.credHelpers?.[key]).find((name) => name !== undefined)
  const helper = own ?? (stored.length === 0 ? file.credsStore : undefined)
  if (helper === undefined) return stored[0] ?? null
  const [registry = ''] = keys.slice(-1)
  return (await askHelper(helper, registry, search, signal)) ?? stored[0] ?? null
}

async function askHelper(helper: string, registry: string, search: CredentialSearch, signal: AbortSignal) {
  if (search.runCredentialHelper === null) {
    search.onWarning(`the credential helper ${JSON.stringify(helper)} cannot be run here`)
    return null
  }
  try {
    return await search.runCredentialHelper(helper, registry, signal)
  } catch (error) {
    if (signal.aborted) throw signal.reason
    search.onWarning(`the credential helper ${JSON.stringify(helper)} failed: ${(error as Error).message}`)
    return null
  }
}

/** The keys under which a file may have them, the most specific first, the registry itself last. */
function keysFor(repository: string): readonly string[] {
  const parts = repository.split('/')
  const paths = parts.map((_, index) => parts.slice(0, parts.length - index).join('/'))
  const registry = parts[0] ?? ''
  const written = [`https://${registry}`, `https://${registry}/v1/`, `https://${registry}/v2/`]
  const names = [...paths.slice(0, -1), ...written, registry]
  return registry === DOCKER_HUB ? [...names, 'index.docker.io', DOCKER_HUB_KEY] : names
}

function loginOf(entry: AuthEntry | undefined): readonly Login[] {
  if (entry === undefined) return []
  if (entry.identitytoken) return [{ username: TOKEN_USER, secret: entry.identitytoken }]
  if (entry.auth) return decoded(entry.auth)
  return entry.username && entry.password ? [{ username: entry.username, secret: entry.password }] : []
}

function decoded(auth: string): readonly Login[] {
  const text = Buffer.from(auth, 'base64').toString('utf8')
  const colon = text.indexOf(':')
  return colon <= 0 ? [] : [{ username: text.slice(0, colon), secret: text.slice(colon + 1).replace(/\0+$/, '') }]
}
