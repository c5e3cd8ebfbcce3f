import { TextDecoder } from 'node:util'
import { TypeBoxValidatorCompiler } from '@fastify/type-provider-typebox'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import plugin from 'fastify-plugin'
import { HiveError } from '../src/errors.ts'
import { readQuery } from '../src/http/query.ts'

/** Exactly `application/json`, optionally in UTF-8: anything looser has been a way around validation before. */
const JSON_TYPE = /^application\/json(?: *; *charset="?utf-8"?)?$/i
const BODY_LIMIT_BYTES = 256 * 1024

/**
 * What the control API reads: JSON bodies only, closed schemas, no coercion, no prototype keys, no broken Unicode, and
 * no body where none is taken. Of a key that stands twice the last one counts, as ECMA-404 leaves it open.
 * Cocoon routes take their bodies off the socket themselves and are not touched.
 */
export default plugin(
  async (app: FastifyInstance) => {
    app.removeAllContentTypeParsers()
    const parse = app.getDefaultJsonParser('error', 'error')
    app.addContentTypeParser(
      'application/json',
      { parseAs: 'buffer', bodyLimit: BODY_LIMIT_BYTES },
      (request, body, done) => {
        const refused = refuseType(request)
        if (refused !== null) return done(refused)
        const text = decode(body as Buffer)
        if (text === null) return done(brokenUnicode())
        return parse(request, text, (error, value) =>
          done(error ?? (hasLoneSurrogate(text, value) ? brokenUnicode() : null), value),
        )
      },
    )
    app.addHook('preValidation', (request, _reply, done) => done(refuseBody(request) ?? undefined))
    app.setValidatorCompiler((route) => {
      if (route.httpPart !== 'querystring') return TypeBoxValidatorCompiler(route)
      // Called a body, the compiler only checks: its own conversion takes 1.5, 0x10 and " 5" for integers.
      const check = TypeBoxValidatorCompiler({ ...route, httpPart: 'body' })
      return (query: unknown) => check(readQuery(route.schema, query))
    })
    app.setSerializerCompiler(() => (data) => JSON.stringify(data))
  },
  { name: 'strict-json' },
)

function refuseType(request: FastifyRequest): HiveError | null {
  const type = request.headers['content-type'] ?? ''
  if (!JSON_TYPE.test(type)) return new HiveError('HIVE_MEDIA_TYPE', 'send application/json')
  const encoding = request.headers['content-encoding']
  if (encoding === undefined || encoding === 'identity') return null
  return new HiveError('HIVE_MEDIA_TYPE', 'send the body uncompressed')
}

/** A field that nobody reads is refused, never ignored: that goes for whole bodies, too. */
function refuseBody(request: FastifyRequest): HiveError | null {
  const { body, routeOptions } = request
  if (body === undefined || body === null || routeOptions.schema?.body !== undefined) return null
  if (typeof body === 'object' && !Array.isArray(body) && Object.keys(body).length === 0) return null
  return new HiveError('HIVE_REQUEST_INVALID', 'this call takes no body: its options stand in the query')
}

/** The text of UTF-8 bytes, without a byte order mark (RFC 8259 §8.1 lets a reader skip it); null if they are not UTF-8. */
function decode(body: Buffer): string | null {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(body)
  } catch {
    return null // the decoder says no more than this
  }
}

/** JSON can spell half a surrogate pair (`"\ud800"`); such text has no UTF-8 and would not survive the table. */
function hasLoneSurrogate(text: string, value: unknown): boolean {
  if (!/\\u[dD][89a-fA-F]/.test(text)) return false
  try {
    // Well-formed JSON.stringify (ECMA-262 §25.5.2) writes lone surrogates, and only those, as \udXXX escapes.
    return /(?<!\\)(?:\\\\)*\\ud[89a-f][0-9a-f]{2}/.test(JSON.stringify(value))
  } catch {
    return true // nested deeper than it can be written: no schema takes it anyway
  }
}

function brokenUnicode(): HiveError {
  return new HiveError('HIVE_REQUEST_INVALID', 'the body holds text that is not valid Unicode')
}
