import { readFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { isLoopbackHost } from '../config/loopback.ts'
import { CliFailure, EXIT, usage } from './failure.ts'
import type { Environment } from './io.ts'

export const DEFAULT_URL = 'http://127.0.0.1:8020'

/** Which Hive to talk to, and what opens its door. */
export interface Target {
  /** Without a trailing slash; may carry a path. */
  readonly base: string
  readonly token: string | null
  /** Where the token came from, or where it was looked for in vain. */
  readonly tokenSource: string
}

/**
 * Finds the target and its token: `--token-file`, else `HIVE_TOKEN`, else the token file of a Hive on this machine.
 * That file is only ever read for loopback targets, so that a wrong HIVE_URL cannot carry the token away.
 */
export async function resolveTarget(
  env: Environment,
  options: { readonly url: string | undefined; readonly tokenFile: string | undefined },
): Promise<Target> {
  const url = parseUrl(options.url ?? (env['HIVE_URL']?.trim() || defaultUrl(env)))
  const base = `${url.origin}${url.pathname.replace(/\/+$/, '')}`
  if (options.tokenFile !== undefined) {
    return { base, token: await readToken(options.tokenFile), tokenSource: options.tokenFile }
  }
  const token = env['HIVE_TOKEN']?.trim()
  if (token) return { base, token: checkToken(token, 'HIVE_TOKEN'), tokenSource: 'HIVE_TOKEN' }
  // URL keeps the brackets of an IPv6 address.
  if (!isLoopbackHost(url.hostname.replace(/[[\]]/g, '')))
    return { base, token: null, tokenSource: 'HIVE_TOKEN, which is not set' }
  return { base, ...(await localToken(env)) }
}

/** The server of this very environment: who gives it a HIVE_PORT means the same one here. */
function defaultUrl(env: Environment): string {
  const port = env['HIVE_PORT']?.trim() ?? ''
  return /^[1-9]\d{0,4}$/.test(port) && Number(port) <= 65_535 ? `http://127.0.0.1:${port}` : DEFAULT_URL
}

function parseUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : null
  // The text is not repeated: it may hold a password.
  if (url === null || !/^https?:$/.test(url.protocol)) throw usage(`HIVE_URL or --url must look like ${DEFAULT_URL}`)
  if (url.username !== '' || url.password !== '') throw usage('HIVE_URL or --url must not hold a user or password')
  if (url.search !== '' || url.hash !== '') throw usage('HIVE_URL or --url must not hold a query or fragment')
  return url
}

async function localToken(env: Environment): Promise<Omit<Target, 'base'>> {
  const path = join(stateDirectory(env), 'token')
  try {
    return { token: await readToken(path), tokenSource: path }
  } catch (error) {
    if (error instanceof CliFailure && error.problem.code === 'CLI_TOKEN_UNREADABLE') {
      return { token: null, tokenSource: `${path} (${error.problem['cause']})` }
    }
    throw error
  }
}

function stateDirectory(env: Environment): string {
  if (env['HIVE_STATE_DIR']) return env['HIVE_STATE_DIR']
  if (process.getuid?.() === 0) return '/var/lib/hive'
  return join(env['XDG_STATE_HOME'] || join(env['HOME'] || homedir(), '.local', 'state'), 'hive')
}

async function readToken(path: string): Promise<string> {
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (error) {
    const cause = (error as NodeJS.ErrnoException).code ?? 'unreadable'
    throw new CliFailure(EXIT.unauthorized, {
      code: 'CLI_TOKEN_UNREADABLE',
      title: 'The token file cannot be read',
      detail: `${path}: ${cause}`,
      cause,
    })
  }
  return checkToken(text.trim(), path)
}

/** A header field takes visible ASCII only; anything else is a wrong file, and its content is nobody's business. */
function checkToken(token: string, source: string): string {
  if (/^[\x21-\x7e]{1,4096}$/.test(token)) return token
  throw usage(`${source} does not hold a token: expected one line of visible ASCII`)
}
