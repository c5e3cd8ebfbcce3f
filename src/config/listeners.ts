import { normalOrigin } from '../kinds/common-config.ts'
import type { HiveConfig } from '../settings.ts'
import { isLoopbackHost } from './loopback.ts'
import { type Notes, type SettingSource, wrongSetting } from './notes.ts'
import { hostName, listOf, oneOf, onOff, origin, secret, textBy, wholeNumber } from './readers.ts'

const LEAST_TOKEN = 16

type Listeners = Pick<
  HiveConfig,
  | 'host'
  | 'port'
  | 'publicUrl'
  | 'allowedHosts'
  | 'corsOrigins'
  | 'token'
  | 'auth'
  | 'cocoonDomain'
  | 'proxyPort'
  | 'proxyAuth'
>

/** Settings of the listeners and of who may use them. */
export function readListeners(source: SettingSource): Listeners {
  const host = source.read('HIVE_HOST', listenAddress, '127.0.0.1')
  const isLocal = isLoopbackHost(host)
  const listeners: Listeners = {
    host,
    port: source.read('HIVE_PORT', wholeNumber(0, 65_535), 8020),
    publicUrl: source.read('HIVE_PUBLIC_URL', origin, null),
    allowedHosts: source.read('HIVE_ALLOWED_HOSTS', listOf(hostName, 'host names without a port'), []),
    corsOrigins: source.read('HIVE_CORS_ORIGINS', listOf(normalOrigin, 'origins such as "https://app.example"'), []),
    token: source.read('HIVE_TOKEN', secret(LEAST_TOKEN), null),
    auth: source.read('HIVE_AUTH', onOff, true),
    cocoonDomain: source.read('HIVE_COCOON_DOMAIN', domainName, isLocal ? 'localhost' : null),
    proxyPort: source.read('HIVE_PROXY_PORT', wholeNumber(0, 65_535), null),
    proxyAuth: source.read('HIVE_PROXY_AUTH', oneOf('public', 'token'), isLocal ? 'public' : 'token'),
  }
  checkTogether(listeners, source)
  return listeners
}

/** An IP address without brackets, or a name that resolves to one. */
const listenAddress = textBy(
  (text) => hostName(text.includes(':') && !text.startsWith('[') ? `[${text}]` : text)?.replace(/[[\]]/g, '') ?? null,
  'an IP address or a host name, without a port',
)

const domainName = textBy(
  (text) => (text.startsWith('[') ? null : hostName(text)),
  'a domain such as "cocoons.example"',
)

/** What one setting alone cannot show to be wrong. */
function checkTogether({ host, port, auth, proxyPort }: Listeners, { env, notes }: SettingSource): void {
  const isLocal = isLoopbackHost(host)
  if (!auth && !isLocal) refuseOpenListener(notes)
  if (!isLocal && !env['HIVE_PROXY_AUTH']?.trim())
    wrongSetting('HIVE_PROXY_AUTH', 'must be chosen, because HIVE_HOST is not loopback', 'public or token', notes)
  if (proxyPort !== null && proxyPort !== 0 && proxyPort === port)
    wrongSetting('HIVE_PROXY_PORT', 'is the same as HIVE_PORT', 'another port, or none to share one listener', notes)
}

function refuseOpenListener(notes: Notes): void {
  wrongSetting('HIVE_AUTH', 'is off while HIVE_HOST is not loopback', 'on, or a HIVE_HOST of 127.0.0.1 or ::1', notes)
}
