import type { Message } from '../frame.ts'
import { BadMessage, optionalText, readKinds, requireTexts } from './fields.ts'
import type { Peer } from './peer.ts'
import type { Room } from './room.ts'

type Handler = (room: Room, peer: Peer, body: Message['body']) => void

/** What a generation 1 server does with each message. Every client may send any of them. */
const HANDLERS: Readonly<Record<string, Handler>> = {
  register_hive: registerHive,
  spawn_cocoon(room, peer, body) {
    requireTexts(body, 'request_id', 'setup_token', 'kind')
    room.hub.spawn(peer, body)
  },
  spawn_cocoon_result(room, peer, body) {
    requireTexts(body, 'request_id')
    room.hub.result(peer, 'spawnResult', body)
  },
  terminate_cocoon(room, peer, body) {
    requireTexts(body, 'request_id', 'container_id')
    room.hub.terminate(peer, body)
  },
  terminate_cocoon_result(room, peer, body) {
    requireTexts(body, 'request_id')
    room.hub.result(peer, 'terminateResult', body)
  },
  list_hives: listHives,
  request_setup_token: (room, peer) => peer.send({ type: 'setup_token', token: room.devices.newSetupToken() }),
  register_with_setup_token(room, peer, body) {
    requireTexts(body, 'secret', 'setup_token', 'version')
    const { secret, setup_token: setupToken } = body as { secret: string; setup_token: string }
    const name = optionalText(body, 'name')
    const { deviceId, owner } = room.devices.register(peer, { secret, setupToken, ...(name !== undefined && { name }) })
    peer.send({ type: 'registered_with_owner', device_id: deviceId, owner_id: owner, name: name ?? deviceId })
  },
  register(room, peer, body) {
    requireTexts(body, 'secret', 'version')
    const claimed = optionalText(body, 'device_id')
    const given = { secret: String(body['secret']), ...(claimed !== undefined && { deviceId: claimed }) }
    peer.send({ type: 'registered', device_id: room.devices.register(peer, given).deviceId })
  },
  deregister(room, peer, body) {
    requireTexts(body, 'device_id')
    room.devices.remove(peer, 'has deregistered')
    peer.send({ type: 'deregistered', device_id: body['device_id'] })
  },
  authenticate(room, peer) {
    const hives = room.hub.hives.map(({ hiveId, kinds }) => ({
      hive_id: hiveId,
      cocoon_kinds: kinds.map(({ id }) => id),
    }))
    peer.send({ type: 'authenticated', user_id: 'local' })
    peer.send({ type: 'hello_authed', user_id: 'local', connection_info: { manual_allowed: true, hives } })
  },
}

/** Pushed to every client by the last of generation 1; hives must tolerate it before their confirmation. */
export const HELLO_1 = {
  type: 'hello',
  auth_kind: 'none',
  auth_domain: 'localhost',
  auth_requirement: 'optional',
  auth_options: ['anonymous'],
}

/** @throws BadMessage  told to the sender as `error`. */
export function handleGeneration1(room: Room, peer: Peer, { type, body }: Message): void {
  const handle = Object.hasOwn(HANDLERS, type) ? HANDLERS[type] : undefined
  if (!handle) throw new BadMessage('unknown message type')
  handle(room, peer, body)
}

function registerHive(room: Room, peer: Peer, body: Message['body']): void {
  const hive = room.readHive(peer, body, readKinds(body, true))
  if (hive === null) {
    peer.send({ type: 'error', message: 'invalid hive signature' })
    peer.close(1008, 'invalid hive signature')
  } else {
    peer.send({ type: 'hive_registered', hive_id: hive.hiveId })
    room.hub.addHive(hive)
  }
}

function listHives({ hub }: Room, peer: Peer): void {
  const hives = hub.hives.map(({ hiveId, version, connectedAt, kinds }) => ({
    hive_id: hiveId,
    version,
    status: 'online',
    connected_at: connectedAt,
    cocoon_kinds: kinds,
  }))
  peer.send({ type: 'hives_list', hives })
}
