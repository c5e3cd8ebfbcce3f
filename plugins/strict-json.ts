import { TypeBoxValidatorCompiler } from '@fastify/type-provider-typebox'
import type { FastifyInstance } from 'fastify'
import plugin from 'fastify-plugin'
import { HiveError } from '../src/errors.ts'

/** Exactly `application/json`, optionally in UTF-8: anything looser has been a way around validation before. */
const JSON_TYPE = /^application\/json(?: *; *charset="?utf-8"?)?$/i
const BODY_LIMIT_BYTES = 256 * 1024

/**
 * Bodies of the control API: JSON objects only, closed schemas, no coercion, no prototype keys, no broken Unicode.
 * Cocoon routes take their bodies off the socket themselves and are not touched.
 */
export default plugin(
  async (app: FastifyInstance) => {
    app.removeAllContentTypeParsers()
    const parse = app.getDefaultJsonParser('error', 'error')
    app.addContentTypeParser(
      'application/json',
      { parseAs: 'string', bodyLimit: BODY_LIMIT_BYTES },
      (request, body, done) => {
        const type = request.headers['content-type'] ?? ''
        if (!JSON_TYPE.test(type)) return done(new HiveError('HIVE_MEDIA_TYPE', 'send application/json'))
        const encoding = request.headers['content-encoding']
        if (encoding !== undefined && encoding !== 'identity')
          return done(new HiveError('HIVE_MEDIA_TYPE', 'send the body uncompressed'))
        return parse(request, body.toString(), (error, value) => done(error ?? loneSurrogate(value), value))
      },
    )
    app.setValidatorCompiler(TypeBoxValidatorCompiler)
    app.setSerializerCompiler(() => (data) => JSON.stringify(data))
  },
  { name: 'strict-json' },
)

/** JSON can spell half a surrogate pair (`"\ud800"`); such text has no UTF-8 and would not survive the table. */
function loneSurrogate(value: unknown): HiveError | null {
  const whole = JSON.stringify(value) as string | undefined
  // Well-formed JSON.stringify (ECMA-262 §25.5.2) writes lone surrogates, and only those, as \udXXX escapes.
  if (whole === undefined || !/(?<!\\)(?:\\\\)*\\ud[89a-f][0-9a-f]{2}/.test(whole)) return null
  return new HiveError('HIVE_REQUEST_INVALID', 'the body holds text that is not valid Unicode')
}
