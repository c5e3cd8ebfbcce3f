import { access } from 'node:fs/promises'
import type { IncomingMessage } from 'node:http'
import type Docker from 'dockerode'
import type { EngineAddress } from './engine-address.ts'
import type { EngineAgent } from './engine-agent.ts'
import { ANY_STATUS, type Dial } from './request.ts'

/**
 * Requests through dockerode's client, as streams. Its ready-made calls are not used: create puts the whole body, with
 * the environment's secrets, into the URL as well; an answer that breaks off never settles; none has a size limit.
 */
export function dialer(address: EngineAddress, agent: EngineAgent): Dial {
  // All keys are given, since the client fills in missing ones from DOCKER_HOST and its like.
  const where =
    'socketPath' in address
      ? { socketPath: address.socketPath, host: undefined, port: undefined }
      : { socketPath: undefined, host: address.host, port: address.port }
  const unset = { ca: undefined, cert: undefined, key: undefined, timeout: undefined, username: undefined }
  const settings: object = { ...where, ...unset, protocol: 'http', agent }
  let modem: Docker['modem'] | null = null
  return async ({ method, path, query, body, registryAuth }, signal) => {
    const client = modem ?? (await openModem(address, settings))
    modem = client
    return new Promise<IncomingMessage>((resolve, reject) => {
      const call = {
        method,
        path: query === undefined ? path : `${path}?`,
        options: { _query: query ?? {}, _body: body ?? {} },
        ...(registryAuth ? { authconfig: registryAuth } : {}),
        abortSignal: signal,
        isStream: true,
        statusCodes: ANY_STATUS,
      }
      client.dial(call as never, (error: Error | null, answer: unknown) =>
        error === null || error === undefined ? resolve(answer as IncomingMessage) : reject(error),
      )
    })
  }
}

/** Loaded once there is an engine to talk to: the package brings SSH and gRPC along. */
async function openModem(address: EngineAddress, settings: object): Promise<Docker['modem']> {
  if ('socketPath' in address) await access(address.socketPath)
  const { default: Client } = await import('dockerode')
  return new Client(settings).modem
}
