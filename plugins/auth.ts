import { createHash, timingSafeEqual } from 'node:crypto'
import type { FastifyInstance, onRequestHookHandler } from 'fastify'
import plugin from 'fastify-plugin'
import { HiveError } from '../src/errors.ts'
import { WrongTokens } from '../src/http/wrong-tokens.ts'
import type { Secret } from '../src/secret.ts'

export interface AuthOptions {
  readonly token: Secret
  /** False = HIVE_AUTH=off: everybody who reaches the listener may do everything. */
  readonly required: boolean
}

declare module 'fastify' {
  interface FastifyInstance {
    /** True for the one token there is; takes as long for a wrong one as for the right one. */
    verifyToken(token: string): boolean
    /** Counts wrong tokens of both planes together. */
    wrongTokens: WrongTokens
    /** The hook for a scope of routes that need the token: bearer only, no cookies, never from the address. */
    requireToken: onRequestHookHandler
  }
}

export default plugin(
  async (app: FastifyInstance, options: AuthOptions) => {
    const expected = digest(options.token.reveal())
    const verify = (token: string) => timingSafeEqual(digest(token), expected)
    const wrongTokens = new WrongTokens()
    app.decorate('verifyToken', verify).decorate('wrongTokens', wrongTokens)
    app.decorate('requireToken', (request, _reply, done) => {
      const [scheme, token = ''] = split(request.headers.authorization ?? '')
      const isBearer = scheme.toLowerCase() === 'bearer'
      if (!options.required || (isBearer && verify(token))) return done()
      // Who sends none is not guessing.
      const tooMany = isBearer && token !== '' ? wrongTokens.refuse(request.raw.socket.remoteAddress) : null
      return done(tooMany ?? unauthorized())
    })
  },
  { name: 'auth' },
)

function unauthorized(): HiveError {
  return new HiveError(
    'HIVE_UNAUTHORIZED',
    'send Authorization: Bearer <token>; the start line of Hive says where the token is',
  )
}

/** Digests have one length, so the comparison says nothing about the token's. */
function digest(token: string): Buffer {
  return createHash('sha256').update(token).digest()
}

function split(header: string): readonly [string, string?] {
  const space = header.indexOf(' ')
  return space < 0 ? [header] : [header.slice(0, space), header.slice(space + 1)]
}
