/** Fields that concern one connection only (RFC 9110 §7.6.1) and the older ones proxies treat alike. Lower case. */
export const HOP_BY_HOP: readonly string[] = [
  'connection',
  'keep-alive',
  'proxy-connection',
  'proxy-authenticate',
  'proxy-authorization',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]

/** Named in `Connection` they are ignored: framing and addressing are not the peer's to remove. */
const NOT_NOMINABLE = new Set(['content-length', 'host', 'close', 'keep-alive', ''])

const NONE: ReadonlySet<string> = new Set()

/** The field names that a `Connection` field makes hop-by-hop. */
export function nominated(connection: string | undefined): ReadonlySet<string> {
  // Nearly every request says one of these two; neither names a field.
  if (connection === undefined || connection === 'keep-alive' || connection === 'close') return NONE
  const names = connection
    .toLowerCase()
    .split(',')
    .map((name) => name.trim())
  const fields = names.filter((name) => !NOT_NOMINABLE.has(name))
  return fields.length === 0 ? NONE : new Set(fields)
}
