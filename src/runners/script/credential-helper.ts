import { execa } from 'execa'

const TIMEOUT_MS = 10_000
const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]*$/

/**
 * Runs `docker-credential-<helper> get`: the registry goes in by stdin, JSON `{Username, Secret}` comes out by stdout.
 * @returns null if the helper has nothing for this registry.
 * @throws Error  there is no such helper or it failed; the message holds nothing it printed.
 * @see https://github.com/docker/docker-credential-helpers (the protocol)
 */
export async function runCredentialHelper(
  helper: string,
  registry: string,
  signal: AbortSignal,
): Promise<{ readonly username: string; readonly secret: string } | null> {
  if (!NAME.test(helper)) throw new Error('its name is not one')
  const result = await execa(`docker-credential-${helper}`, ['get'], {
    input: registry,
    cancelSignal: signal,
    timeout: TIMEOUT_MS,
    reject: false,
    stripFinalNewline: true,
  })
  if (signal.aborted) throw signal.reason
  if (/credentials not found/i.test(`${result.stdout}${result.stderr}`)) return null
  if (result.failed) throw new Error(`it ended with ${result.code ?? `code ${result.exitCode}`}`)
  return parsed(result.stdout)
}

function parsed(text: string): { readonly username: string; readonly secret: string } {
  try {
    const { Username, Secret } = JSON.parse(text) as { Username?: unknown; Secret?: unknown }
    if (typeof Username === 'string' && typeof Secret === 'string') return { username: Username, secret: Secret }
  } catch {
    // The parser's message would quote the secret.
  }
  throw new Error('its answer is not {"Username", "Secret"}')
}
