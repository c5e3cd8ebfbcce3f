import type { Message } from '../frame.ts'
import { BadMessage, optionalText, readKinds, requireTexts } from './fields.ts'
import type { Peer, Role } from './peer.ts'
import type { Room } from './room.ts'

type Handler = (room: Room, peer: Peer, body: Message['body']) => void

/** What a generation 2 server does with each message, by the role that the URL gave to the client. */
const HANDLERS: Readonly<Record<Role, Readonly<Record<string, Handler>>>> = {
  hive: {
    hive_register: registerHive,
    hive_spawn_cocoon_result(room, peer, body) {
      requireTexts(body, 'request_id')
      room.hub.result(peer, 'spawnResult', body)
    },
    hive_terminate_cocoon_result(room, peer, body) {
      requireTexts(body, 'request_id')
      room.hub.result(peer, 'terminateResult', body)
    },
  },
  app: {
    hive_spawn_cocoon(room, peer, body) {
      requireTexts(body, 'request_id', 'setup_token', 'kind')
      room.hub.spawn(peer, body)
    },
    hive_terminate_cocoon(room, peer, body) {
      requireTexts(body, 'request_id', 'container_id')
      room.hub.terminate(peer, body)
    },
    auth_authenticate(room, peer) {
      const devices = room.devices.online.map(({ deviceId, name }) => ({
        device_id: deviceId,
        tags: name === null ? {} : { name },
        online: true,
      }))
      peer.send({ type: 'auth_authenticate_response', user_id: 'local' })
      peer.send({ type: 'auth_hello_authed', user_id: 'local', connection_info: { manual_allowed: true }, devices })
    },
  },
  cocoon: {
    device_register: registerDevice,
    device_deregister(room, peer, body) {
      requireTexts(body, 'device_id')
      room.devices.remove(peer, 'has deregistered')
      peer.send({ type: 'device_deregister_response', device_id: body['device_id'] })
    },
  },
}

/** Pushed to apps only. */
export const HELLO_2 = {
  type: 'auth_hello',
  auth_kind: 'none',
  auth_domain: 'localhost',
  auth_requirement: 'optional',
  auth_options: ['anonymous'],
}

/** @throws BadMessage  told to the sender as `system_error`. */
export function handleGeneration2(room: Room, peer: Peer, { type, body }: Message): void {
  const allowed = HANDLERS[peer.role]
  const handle = Object.hasOwn(allowed, type) ? allowed[type] : undefined
  const isKnown = Object.values(HANDLERS).some((handlers) => Object.hasOwn(handlers, type))
  if (!handle)
    throw new BadMessage(isKnown ? 'Unsupported message type for this client kind' : 'Invalid message: unknown type')
  handle(room, peer, body)
}

/** Unlike the public server this one checks the signature. */
function registerHive(room: Room, peer: Peer, body: Message['body']): void {
  const hive = room.readHive(peer, body, readKinds(body, false))
  if (hive === null) {
    peer.send({ type: 'system_error', message: 'invalid hive signature' })
    peer.close(1008, 'invalid hive signature')
  } else {
    peer.send({ type: 'hive_register_response', hive_id: hive.hiveId })
    room.hub.addHive(hive)
  }
}

function registerDevice(room: Room, peer: Peer, body: Message['body']): void {
  requireTexts(body, 'secret', 'version')
  const claimed = optionalText(body, 'device_id')
  const given = body['tags']
  const tags = (typeof given === 'object' && given !== null ? given : {}) as Readonly<Record<string, unknown>>
  const { setup_token: setupToken, ...kept } = tags
  const name = optionalText(tags, 'name')
  const { deviceId } = room.devices.register(peer, {
    secret: String(body['secret']),
    ...(claimed !== undefined && { deviceId: claimed }),
    ...(typeof setupToken === 'string' && { setupToken }),
    ...(name !== undefined && { name }),
  })
  peer.send({ type: 'device_register_response', device_id: deviceId, tags: kept })
}
